//! Medians and the spread around them.

/// The quartiles of some samples.
#[derive(Clone, Copy)]
pub struct Stat {
    pub median: f64,
    p25: f64,
    p75: f64,
}

impl Stat {
    /// # Panics
    ///
    /// Without samples.
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self {
            median: quantile(&sorted, 0.5),
            p25: quantile(&sorted, 0.25),
            p75: quantile(&sorted, 0.75),
        }
    }

    /// `median [p25-p75]`, with this many decimals.
    pub fn show(&self, decimals: usize) -> String {
        let Self { median, p25, p75 } = self;
        format!("{median:.decimals$} [{p25:.decimals$}-{p75:.decimals$}]")
    }
}

/// Between two samples, by how close it is to each.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor(), position.ceil());
    let [low, high] = [below, above].map(|index| sorted[index as usize]);
    low + (high - low) * (position - below)
}

/// The samples of one row over those of another, by round.
pub fn over(row: &[f64], other: &[f64]) -> Vec<f64> {
    row.iter().zip(other).map(|(row, other)| row / other).collect()
}
