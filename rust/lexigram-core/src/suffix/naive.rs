//! The definitions, read off the stream: the twin of the tests.

/// A corpus as a list of documents, each with its separators at both ends.
pub struct Naive {
    /// Each document as `s w₁ … wₙ s`; the last may lack its end; without a separator one stream.
    pub documents: Vec<Vec<u32>>,
    pub separator: Option<u32>,
    pub vocab_size: usize,
}

impl Naive {
    pub fn new(stream: &[u32], separator: Option<u32>, vocab_size: usize) -> Self {
        let Some(s) = separator else {
            return Self { documents: vec![stream.to_vec()], separator, vocab_size };
        };
        let mut documents = Vec::new();
        let mut open = vec![s];
        for &id in stream {
            open.push(id);
            if id == s {
                documents.push(std::mem::replace(&mut open, vec![s]));
            }
        }
        if open.len() > 1 {
            documents.push(open);
        }
        Self { documents, separator, vocab_size }
    }

    /// (document, position) of every place of `ids`; position −1 is the separator in front.
    pub fn places(&self, ids: &[u32]) -> Vec<(u64, i64)> {
        let front = i64::from(self.separator.is_some());
        let mut places = Vec::new();
        for (d, document) in self.documents.iter().enumerate() {
            for (i, run) in document.windows(ids.len()).enumerate() {
                // The separator in front of a document alone is no place of its end.
                let begin_alone = ids.len() == 1 && i == 0 && front == 1;
                if run == ids && !begin_alone {
                    places.push((d as u64, i as i64 - front));
                }
            }
        }
        places
    }

    pub fn count(&self, ids: &[u32]) -> u64 {
        if ids.is_empty() {
            let front = usize::from(self.separator.is_some());
            return self.documents.iter().map(|d| (d.len() - front) as u64).sum();
        }
        self.places(ids).len() as u64
    }

    /// c(hx) of every x.
    pub fn next_counts(&self, context: &[u32]) -> Vec<u64> {
        let with = |x: u32| self.count(&[context, &[x]].concat());
        (0..self.vocab_size as u32).map(with).collect()
    }

    /// h*, and c(h* x) of every x.
    pub fn infinigram(&self, context: &[u32], support: u64) -> (usize, Vec<u64>) {
        let begin = context.iter().rposition(|&id| Some(id) == self.separator).unwrap_or(0);
        (begin..context.len())
            .map(|from| (context.len() - from, self.next_counts(&context[from..])))
            .find(|(_, counts)| counts.iter().sum::<u64>() >= support.max(1))
            .unwrap_or_else(|| (0, self.next_counts(&[])))
    }

    /// Maximal runs of ids, no separator among them, that stand somewhere.
    pub fn trace(&self, ids: &[u32], min_length: usize) -> Vec<(usize, usize, u64)> {
        let stands = |from: usize, to: usize| {
            let run = &ids[from..to];
            run.iter().all(|&id| Some(id) != self.separator) && self.count(run) > 0
        };
        let mut spans = Vec::new();
        for from in 0..ids.len() {
            for to in from + min_length.max(1)..=ids.len() {
                let longer =
                    (from > 0 && stands(from - 1, to)) || (to < ids.len() && stands(from, to + 1));
                if stands(from, to) && !longer {
                    spans.push((from, to, self.count(&ids[from..to])));
                }
            }
        }
        spans
    }
}
