//! The tokens that a tokenizer.json puts around a text, such as `<s>` before it. They are added only
//! when the caller asks.

use crate::{Error, Result};

/// What stands before and after a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostProcessor {
    before: Vec<u32>,
    after: Vec<u32>,
    /// Why the file's post-processor cannot be applied, if it cannot.
    unsupported: Option<String>,
}

impl PostProcessor {
    /// One that puts these ids around a text.
    pub fn new(before: Vec<u32>, after: Vec<u32>) -> Self {
        Self { before, after, unsupported: None }
    }

    /// One that can be kept but not applied, and why.
    pub fn unsupported(why: String) -> Self {
        Self { unsupported: Some(why), ..Self::default() }
    }

    /// Itself, if `known` holds for all of its ids.
    pub(super) fn checked(self, known: impl Fn(u32) -> bool) -> Self {
        match self.before.iter().chain(&self.after).find(|id| !known(**id)) {
            Some(id) => Self::unsupported(format!("it adds the id {id}, which no token has")),
            None => self,
        }
    }

    /// Puts the tokens around the ids from `start` on.
    pub fn apply(&self, ids: &mut Vec<u32>, start: usize) -> Result<()> {
        if let Some(why) = &self.unsupported {
            let limit = format!(
                "the post_processor of this tokenizer.json is not supported: {why}; add the tokens \
                 yourself"
            );
            return Err(Error::argument("add_special_tokens", "True", limit));
        }
        ids.splice(start..start, self.before.iter().copied());
        ids.extend_from_slice(&self.after);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn around_the_last_text() {
        let mut ids = vec![1, 2, 3];
        PostProcessor::new(vec![8], vec![9, 9]).apply(&mut ids, 1).unwrap();
        assert_eq!(ids, [1, 8, 2, 3, 9, 9]);
        PostProcessor::default().apply(&mut ids, 0).unwrap();
        assert_eq!(ids.len(), 6);
        let unknown = PostProcessor::new(vec![8], vec![]).checked(|id| id < 8);
        assert!(unknown.apply(&mut ids, 0).unwrap_err().to_string().contains("id 8"));
    }
}
