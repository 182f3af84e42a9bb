//! Lists of words, and what a word says.

/// The words of a text, which commas and blanks part; parentheses and brackets keep theirs.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0u32;
    let parts = text.split(move |c: char| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && (c == ',' || c.is_ascii_whitespace())
    });
    parts.filter(|word| !word.is_empty())
}

/// A word of a list of actions: `output:5`, `clone(…)`, `check_pkt_larger(1500)->…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// What stands in front.
    pub(super) name: &'a str,
    /// What is behind the colon or equals sign, or in parentheses; empty for none.
    pub(super) argument: &'a str,
    /// What is behind `->` after the parentheses; empty for none.
    pub(super) destination: &'a str,
}

/// Takes a word apart.
pub(super) fn word(text: &str) -> Word<'_> {
    let Some(at) = text.find([':', '=', '(']) else {
        return Word { name: text, argument: "", destination: "" };
    };
    let (name, rest) = text.split_at(at);
    let Some(inside) = rest.strip_prefix('(') else {
        return Word { name, argument: rest.get(1..).unwrap_or_default(), destination: "" };
    };
    let (argument, behind) = inside.rsplit_once(')').unwrap_or((inside, ""));
    Word { name, argument, destination: behind.strip_prefix("->").unwrap_or_default() }
}
