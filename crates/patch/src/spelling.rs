//! The nearest valid name.

/// The candidate fewest edits away from `wrong`, if it is near enough to be meant.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (wrong.chars().count() / 3).clamp(1, 6);
    candidates
        .into_iter()
        .map(|candidate| (distance(wrong, candidate), candidate))
        .filter(|&(edits, candidate)| edits <= bound || last_part(wrong, candidate))
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, candidate)| candidate)
}

/// `uri` for `http.request.uri`: the author forgot the beginning.
fn last_part(wrong: &str, candidate: &str) -> bool {
    wrong.len() >= 3
        && candidate.strip_suffix(wrong).is_some_and(|before| before.ends_with(['.', '_']))
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours, without
/// case.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &left) in a.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        for (j, &right) in b.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let mut best = at(&last, j).saturating_add(usize::from(left != right));
            best = best.min(at(&last, j.saturating_add(1)).saturating_add(1));
            best = best.min(at(&row, j).saturating_add(1));
            let swapped = i > 0
                && j > 0
                && a.get(i.saturating_sub(1)) == Some(&right)
                && b.get(j.saturating_sub(1)) == Some(&left);
            if swapped {
                best = best.min(at(&before_last, j.saturating_sub(1)).saturating_add(1));
            }
            row.push(best);
        }
        before_last = last;
        last = row;
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["truncate", "cut_at", "clamp", "http.request.uri", "http.request.method"];
        assert_eq!(nearest("trunctae", names), Some("truncate"));
        assert_eq!(nearest("http.request.url", names), Some("http.request.uri"));
        assert_eq!(nearest("uri", names), Some("http.request.uri"));
        assert_eq!(nearest("zebra", names), None);
        assert_eq!(nearest("", names), None);
    }
}
