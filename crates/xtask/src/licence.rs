//! SPDX licence expressions, as the manifests of dependencies write them.

/// Whether `expression` can be met with licences that `allows` knows.
pub(crate) fn permitted(expression: &str, allows: &dyn Fn(&str) -> bool) -> bool {
    // Old manifests write `MIT/Apache-2.0`.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = either(&mut rest, allows);
    met && rest.is_empty()
}

fn either(rest: &mut &[&str], allows: &dyn Fn(&str) -> bool) -> bool {
    let mut met = both(rest, allows);
    while let [first, after @ ..] = *rest
        && first.eq_ignore_ascii_case("or")
    {
        *rest = after;
        met |= both(rest, allows);
    }
    met
}

fn both(rest: &mut &[&str], allows: &dyn Fn(&str) -> bool) -> bool {
    let mut met = one(rest, allows);
    while let [first, after @ ..] = *rest
        && first.eq_ignore_ascii_case("and")
    {
        *rest = after;
        met &= one(rest, allows);
    }
    met
}

fn one(rest: &mut &[&str], allows: &dyn Fn(&str) -> bool) -> bool {
    match *rest {
        ["(", after @ ..] => {
            *rest = after;
            let met = either(rest, allows);
            // A missing parenthesis leaves `rest` short, and is refused with the whole.
            let Some((&")", after)) = rest.split_first() else { return false };
            *rest = after;
            met
        }
        [name, "WITH", exception, after @ ..] => {
            *rest = after;
            allows(&format!("{name} WITH {exception}"))
        }
        [name, after @ ..] => {
            *rest = after;
            allows(name)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"];
        for (expression, met) in [
            ("MIT", true),
            ("MIT/GPL-3.0", true),
            ("GPL-3.0", false),
            ("GPL-3.0 AND MIT", false),
            ("(GPL-3.0 OR MIT) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("Apache-2.0 WITH Other-exception", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("", false),
        ] {
            let allows = |name: &str| allowed.contains(&name);
            assert_eq!(permitted(expression, &allows), met, "{expression}");
        }
    }
}
