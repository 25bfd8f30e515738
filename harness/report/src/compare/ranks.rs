//! Ranks, doubled so that the middle ranks of equal values are whole numbers too.

/// The rank of each value among all, counted from 1 and doubled; equal values share the
/// middle of their ranks.
#[must_use]
pub fn doubled_midranks(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0; values.len()];
    let mut first = 0;
    while first < order.len() {
        let tied = order[first..]
            .iter()
            .take_while(|at| values[**at] == values[order[first]])
            .count();
        // Ranks first + 1 to first + tied: twice their mean.
        for at in &order[first..first + tied] {
            ranks[*at] = 2 * first + tied + 1;
        }
        first += tied;
    }
    ranks
}

/// The middle value of what is sorted already, or the mean of the two in the middle.
#[must_use]
pub fn sorted_median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(doubled_midranks(&[3.0, 1.0, 2.0]), [6, 2, 4]);
        assert_eq!(doubled_midranks(&[5.0, 1.0, 5.0, 9.0]), [5, 2, 5, 8]);
        assert_eq!(doubled_midranks(&[0.0, -0.0]), [3, 3]);
        assert!(doubled_midranks(&[]).is_empty());
    }
}
