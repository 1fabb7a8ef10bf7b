//! Regular expressions in a spelling that two engines read alike.
//!
//! Here expressions are matched by `fancy-regex`; readers of a `tokenizer.json` use Oniguruma with
//! the syntax of Ruby. They differ in: `^` and `$` (ends of lines in Oniguruma), the flags `m` and
//! `s`, `{n,m}+` (possessive here, repeated there), `{n}?`, `\<`, `\h` in a class, and in POSIX
//! classes (ASCII here, Unicode there). [`portable`] spells out each of these, so that what it
//! returns means the same to both. One difference is left to [`expand`]: `\w` holds the zero-width
//! joiners here but not there; compiling replaces it.

/// Whose reading an expression is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// That of `fancy-regex` and tiktoken.
    Fancy,
    /// That of Oniguruma in Hugging Face files.
    Oniguruma,
}

/// `\w` in a class.
const IN_CLASS: &str = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}";
/// `\w` outside: there Oniguruma looks Latin-1 up in another table, which has `²³¹¼½¾` too.
const WORD: &str = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}²³¹¼½¾";

/// The expression in the common spelling, or what in it has none.
pub fn portable(regex: &str, dialect: Dialect) -> Result<String, String> {
    Walk::new(regex, Some(dialect)).run()
}

/// The expression with `\w`, `\W`, `\b` and `\B` as Oniguruma understands them.
pub fn expand(regex: &str) -> Result<String, String> {
    Walk::new(regex, None).run()
}

struct Walk<'r> {
    rest: &'r str,
    /// `None`: only [`expand`].
    dialect: Option<Dialect>,
    out: String,
    /// Where the last atom begins in `out`: what a quantifier applies to.
    atom: usize,
    /// Of each open group: where it begins, and the flags outside of it.
    groups: Vec<(usize, Flags)>,
    flags: Flags,
    /// Where the innermost group's content begins.
    body: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    /// `^` and `$` are ends of lines.
    lines: bool,
    /// `.` matches a line break.
    dotall: bool,
}

impl<'r> Walk<'r> {
    fn new(regex: &'r str, dialect: Option<Dialect>) -> Self {
        let flags = Flags { lines: dialect == Some(Dialect::Oniguruma), dotall: false };
        Self { rest: regex, dialect, out: String::new(), atom: 0, groups: vec![], flags, body: 0 }
    }

    fn run(mut self) -> Result<String, String> {
        while let Some(c) = self.rest.chars().next() {
            match c {
                '\\' => {
                    self.atom = self.out.len();
                    self.escape(false)?;
                }
                '[' => {
                    self.atom = self.out.len();
                    self.class()?;
                }
                '(' => self.open()?,
                ')' => {
                    self.take(1);
                    self.out.push(')');
                    let (start, flags) = self.groups.pop().ok_or("an unopened group")?;
                    (self.atom, self.flags) = (start, flags);
                }
                '{' => self.interval(),
                '*' | '+' | '?' => {
                    self.take(1);
                    self.out.push(c);
                }
                '^' | '$' | '.' if self.dialect.is_some() => {
                    self.take(1);
                    self.atom = self.out.len();
                    self.out.push_str(match (c, self.flags) {
                        ('^', Flags { lines: true, .. }) => r"(?:\A|(?<=\n))",
                        ('^', _) => r"\A",
                        ('$', Flags { lines: true, .. }) => r"(?=\n|\z)",
                        ('$', _) => r"\z",
                        (_, Flags { dotall: true, .. }) => r"(?:.|\n)",
                        _ => ".",
                    });
                }
                _ => {
                    self.take(c.len_utf8());
                    self.atom = self.out.len();
                    if matches!(c, ']' | '}') {
                        self.out.push('\\');
                    }
                    self.out.push(c);
                }
            }
        }
        if self.groups.is_empty() { Ok(self.out) } else { Err("an open group".into()) }
    }

    fn take(&mut self, bytes: usize) -> &'r str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    /// An escape, in a class or outside.
    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let Some(c) = self.rest[1..].chars().next() else { return Err("a lone \\".into()) };
        let mut length = 1 + c.len_utf8();
        if matches!(c, 'p' | 'P' | 'x' | 'u' | 'k' | 'g') {
            let close = match self.rest[length..].chars().next() {
                Some('{') => '}',
                Some('<') if matches!(c, 'k' | 'g') => '>',
                _ => '\0',
            };
            if close != '\0' {
                let end = self.rest.find(close).ok_or_else(|| format!("an open \\{c}"))?;
                length = end + 1;
            }
        }
        let text = self.take(length);
        if self.dialect.is_none() {
            let word = match c {
                'w' if in_class => IN_CLASS.to_owned(),
                'W' if in_class => format!("[^{IN_CLASS}]"),
                'w' => format!("[{WORD}]"),
                'W' => format!("[^{WORD}]"),
                'b' if !in_class => {
                    format!("(?:(?<=[{WORD}])(?![{WORD}])|(?<![{WORD}])(?=[{WORD}]))")
                }
                'B' if !in_class => {
                    format!("(?:(?<=[{WORD}])(?=[{WORD}])|(?<![{WORD}])(?![{WORD}]))")
                }
                _ => text.to_owned(),
            };
            self.out.push_str(&word);
            return Ok(());
        }
        match c {
            'h' if in_class => self.out.push_str("0-9A-Fa-f"),
            'H' if in_class => self.out.push_str("[^0-9A-Fa-f]"),
            'b' if in_class => self.out.push_str(r"\x08"),
            'e' => self.out.push_str(r"\x1B"),
            '<' | '>' if self.dialect == Some(Dialect::Oniguruma) => self.out.push(c),
            'p' | 'P' if text[2..].starts_with("{^") => {
                self.out.push_str(if c == 'p' { r"\P{" } else { r"\p{" });
                self.out.push_str(&text[4..]);
            }
            _ if !c.is_ascii() => self.out.push(c),
            _ => self.out.push_str(text),
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        let open = if self.rest.starts_with("[^") { 2 } else { 1 };
        let open = self.take(open);
        self.out.push_str(open);
        let mut first = true;
        loop {
            let Some(c) = self.rest.chars().next() else { return Err("an open class".into()) };
            match c {
                ']' if !first => {
                    self.take(1);
                    self.out.push(']');
                    return Ok(());
                }
                '[' if self.rest.starts_with("[:") && self.rest.contains(":]") => self.posix()?,
                '[' => self.class()?,
                '\\' => self.escape(true)?,
                '-' if self.rest.starts_with("--") => return Err("\"--\" in a class".into()),
                _ => {
                    self.take(c.len_utf8());
                    if matches!(c, '~' | ']') {
                        self.out.push('\\');
                    }
                    self.out.push(c);
                }
            }
            first = false;
        }
    }

    /// `[:name:]` in a class.
    fn posix(&mut self) -> Result<(), String> {
        let end = self.rest.find(":]").unwrap_or(0);
        let text = self.take(end + 2);
        let name = &text[2..end];
        let (negated, name) = match name.strip_prefix('^') {
            Some(name) => (true, name),
            None => (false, name),
        };
        let unicode = self.dialect == Some(Dialect::Oniguruma);
        let set = match (name, unicode) {
            (_, _) if self.dialect.is_none() => return Err(format!("{text} in a class")),
            ("alpha", true) => r"\p{Alphabetic}",
            ("alpha", false) => "A-Za-z",
            ("digit", true) => r"\p{Nd}",
            ("digit", false) => "0-9",
            ("alnum", true) => r"\p{Alphabetic}\p{Nd}",
            ("alnum", false) => "0-9A-Za-z",
            ("upper", true) => r"\p{Uppercase}",
            ("upper", false) => "A-Z",
            ("lower", true) => r"\p{Lowercase}",
            ("lower", false) => "a-z",
            ("space", true) => r"\s",
            ("space", false) => r"\t\n\x0B\f\r ",
            ("punct", true) => r"\p{P}\p{S}",
            ("punct", false) => r"!-/:-@\[-`{-\~",
            ("xdigit", _) => "0-9A-Fa-f",
            _ => return Err(format!("{text} in a class")),
        };
        match negated {
            true => self.out.push_str(&format!("[^{set}]")),
            false => self.out.push_str(set),
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        let start = self.out.len();
        if let Some(tail) = self.rest.strip_prefix("(?") {
            let known = [":", "=", "!", ">", "<=", "<!", "<", "P<"];
            if let Some(kind) = known.iter().find(|kind| tail.starts_with(**kind)) {
                let text = self.take(2 + kind.len());
                self.out.push_str(text);
                if kind.ends_with('<') {
                    let end = self.rest.find('>').ok_or("an open group name")?;
                    let name = self.take(end + 1);
                    self.out.push_str(name);
                }
                self.groups.push((start, self.flags));
                self.body = self.out.len();
                return Ok(());
            }
            return self.flag_group(start);
        }
        self.take(1);
        self.out.push('(');
        self.groups.push((start, self.flags));
        self.body = self.out.len();
        Ok(())
    }

    /// `(?i-m:` or `(?i)`.
    fn flag_group(&mut self, start: usize) -> Result<(), String> {
        let end = self.rest.find([':', ')']).ok_or("an open group")?;
        let text = self.take(end + 1);
        let (outer, mut on, mut case) = (self.flags, true, String::new());
        for flag in text[2..end].chars() {
            match (flag, self.dialect) {
                ('-', _) => on = false,
                (_, None) => {}
                ('i', _) if on => case.push('i'),
                ('i', _) => case.push_str("-i"),
                ('m', Some(Dialect::Oniguruma)) | ('s', Some(Dialect::Fancy)) => {
                    self.flags.dotall = on;
                }
                ('m', Some(Dialect::Fancy)) => self.flags.lines = on,
                _ => return Err(format!("the flags {text}")),
            }
        }
        if self.dialect.is_none() {
            self.out.push_str(text);
        } else if text.ends_with(':') || !case.is_empty() {
            self.out.push_str(&format!("(?{case}{}", &text[end..]));
        }
        if text.ends_with(':') {
            self.groups.push((start, outer));
            self.body = self.out.len();
        } else if self.dialect.is_some() && start != self.body {
            // To Oniguruma the rest of the group is then one alternative.
            return Err(format!("{text} in the middle"));
        } else {
            self.body = self.out.len();
        }
        Ok(())
    }

    /// `{n,m}`, or a brace that is none.
    fn interval(&mut self) {
        let end = self.rest.find('}').unwrap_or(0);
        let bounds = self.rest.get(1..end).unwrap_or_default();
        let (low, high) = bounds.split_once(',').unwrap_or((bounds, bounds));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(low) || !digits(high) || (low.is_empty() && high.is_empty()) {
            self.take(1);
            self.atom = self.out.len();
            return self.out.push_str(r"\{");
        }
        let text = self.take(end + 1);
        let Some(dialect) = self.dialect else { return self.out.push_str(text) };
        let low = if low.is_empty() { "0" } else { low };
        let bounds = match text.contains(',') {
            true => format!("{{{low},{high}}}"),
            false => text.to_owned(),
        };
        let atom = self.out.split_off(self.atom);
        let exact = !text.contains(',');
        if self.rest.starts_with('+') {
            self.take(1);
            self.out.push_str(&match dialect {
                Dialect::Fancy => format!("(?>{atom}{bounds})"),
                Dialect::Oniguruma => format!("(?:{atom}{bounds})+"),
            });
        } else if exact && self.rest.starts_with('?') {
            self.take(1);
            self.out.push_str(&match dialect {
                Dialect::Fancy => format!("{atom}{bounds}"),
                Dialect::Oniguruma => format!("(?:{atom}{bounds})?"),
            });
        } else {
            self.out.push_str(&atom);
            self.out.push_str(&bounds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_both() {
        for (regex, fancy, oniguruma) in [
            (r"^a$", r"\Aa\z", r"(?:\A|(?<=\n))a(?=\n|\z)"),
            (r"(?m:^)^", r"(?:(?:\A|(?<=\n)))\A", r"(?:(?:\A|(?<=\n)))(?:\A|(?<=\n))"),
            (r"(?m:.).", r"(?:.).", r"(?:(?:.|\n))."),
            (r"\p{N}{1,3}+", r"(?>\p{N}{1,3})", r"(?:\p{N}{1,3})+"),
            (r"(ab){2}?", r"(ab){2}", r"(?:(ab){2})?"),
            (r"[^ab]{,3}x{y", r"[^ab]{0,3}x\{y", r"[^ab]{0,3}x\{y"),
            (r"[[:alpha:]\h~]", r"[A-Za-z0-9A-Fa-f\~]", r"[\p{Alphabetic}0-9A-Fa-f\~]"),
            (r"\p{^L}\é\<", r"\P{L}é\<", r"\P{L}é<"),
            (r"(?i:'s)|\s+(?!\S)", r"(?i:'s)|\s+(?!\S)", r"(?i:'s)|\s+(?!\S)"),
            (r"(?i)a|(?<x>b)", r"(?i)a|(?<x>b)", r"(?i)a|(?<x>b)"),
            (r"[]a]", r"[\]a]", r"[\]a]"),
        ] {
            assert_eq!(portable(regex, Dialect::Fancy).as_deref(), Ok(fancy), "{regex}");
            assert_eq!(portable(regex, Dialect::Oniguruma).as_deref(), Ok(oniguruma), "{regex}");
            for portable_form in [fancy, oniguruma] {
                if !portable_form.contains(r"\<") {
                    for dialect in [Dialect::Fancy, Dialect::Oniguruma] {
                        assert_eq!(portable(portable_form, dialect).as_deref(), Ok(portable_form));
                    }
                }
            }
        }
        for bad in ["a(?i)b|c", "(?x)a b", "[a--b]", "(a", "a)", "[a", "\\", r"\p{L", "(?<a", "(?"]
        {
            for dialect in [Dialect::Fancy, Dialect::Oniguruma] {
                assert!(portable(bad, dialect).is_err(), "{bad}");
            }
        }
        assert_eq!(expand(r"[\w-]\w").unwrap(), format!("[{IN_CLASS}-][{WORD}]"));
    }

    #[test]
    fn published_expressions_stay_as_they_are() {
        use super::super::patterns::{CL100K, CL100K_JOINED_END, GPT2, O200K};
        for regex in [GPT2, CL100K, CL100K_JOINED_END, O200K] {
            for dialect in [Dialect::Fancy, Dialect::Oniguruma] {
                assert_eq!(portable(regex, dialect).as_deref(), Ok(regex));
            }
            assert_eq!(expand(regex).as_deref(), Ok(regex));
        }
    }
}
