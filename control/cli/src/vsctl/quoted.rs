//! Strings in quotes, with the escapes of JSON.

use std::str::Chars;

/// What stands between quotes, read.
///
/// # Errors
/// What is wrong with it, in the words of ovs-vsctl.
pub fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Err("quoted string may not include unescaped \"".to_owned()),
            '\\' => out.push(escaped(&mut chars)?),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The character that the escape behind a backslash stands for.
fn escaped(chars: &mut Chars<'_>) -> Result<char, String> {
    let Some(c) = chars.next() else {
        return Err("quoted string may not end with backslash".to_owned());
    };
    Ok(match c {
        '"' | '\\' | '/' => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => utf16(chars)?,
        c => return Err(format!("bad escape \\{c}")),
    })
}

/// A character as one or two units of UTF-16, each in four hexadecimal digits; the first `\u` is read.
fn utf16(chars: &mut Chars<'_>) -> Result<char, String> {
    let high = unit(chars)?;
    if high == 0 {
        return Err("null bytes not supported in quoted strings".to_owned());
    }
    let mut units = vec![high];
    if matches!(high, 0xd800..0xdc00) {
        if !(chars.next() == Some('\\') && chars.next() == Some('u')) {
            return Err("malformed escaped surrogate pair".to_owned());
        }
        let low = unit(chars)?;
        if !matches!(low, 0xdc00..0xe000) {
            let text = "second half of escaped surrogate pair is not trailing surrogate";
            return Err(text.to_owned());
        }
        units.push(low);
    }
    let read = char::decode_utf16(units).next();
    read.and_then(Result::ok).ok_or_else(|| "not a valid UTF-8 string".to_owned())
}

fn unit(chars: &mut Chars<'_>) -> Result<u16, String> {
    let digits = chars.as_str();
    let Some((digits, rest)) = digits.split_at_checked(4) else {
        return Err("quoted string ends within \\u escape".to_owned());
    };
    *chars = rest.chars();
    if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err("malformed \\u escape".to_owned());
    }
    u16::from_str_radix(digits, 16).map_err(|error| error.to_string())
}
