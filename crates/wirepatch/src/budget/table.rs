//! The contract for a reader.

use super::{Basis, Budget, BudgetLine, Share};
use crate::output;

/// The table, and the basis of its figures.
pub(crate) fn table(budget: &Budget) -> String {
    let mut text = format!(
        "{} Gbit/s in, cores of {:.2} GHz: millions of packets a second that one core sustains, and (cores needed)\n\n",
        budget.gbit_per_s, budget.cpu_ghz
    );
    let rows: Vec<Vec<String>> = budget.lines.iter().map(row).collect();
    text.push_str(&output::table(
        &["traffic", "64 bytes", "IMIX", "1500 bytes", "rests on"],
        &rows,
    ));
    text.push_str("\nNeeded at that rate: ");
    let needed: Vec<String> = budget
        .lines
        .iter()
        .take(1)
        .flat_map(|line| &line.shares)
        .map(|share| format!("{} Mpps at {}", share.mpps_budget, shown(share)))
        .collect();
    text.push_str(&needed.join(", "));
    text.push_str(&format!(
        ".\nIMIX: of 12 frames 7 of 64 bytes, 4 of 576, 1 of 1,500, check sequence included; 20 bytes of the wire between frames.\n\
         A line is the rate if all traffic were of that kind; shares of a mixture add up. TCP frames of 64 bytes are\n\
         acknowledgements; HTTP's of 1,500 bytes are bodies of responses, with their requests and acknowledgements.\n\
         Nothing is edited; an edited packet costs more: see docs/performance.md.\n\
         Measured on {}, {:.2} GHz, {} (load average {}), best of several rounds.\n\
         Expect a measured figure within a quarter on that CPU, one that rests on instruction counts within a factor of two;\n\
         on another CPU run `wirepatch bench`.\n",
        budget.measured_on,
        budget.measured_ghz,
        budget.measured_at.as_deref().unwrap_or("date not recorded"),
        budget.load_average,
    ));
    text
}

fn row(line: &BudgetLine) -> Vec<String> {
    let mut cells = vec![name(line)];
    cells.extend(
        line.shares.iter().map(|share| format!("{:.2} ({})", share.mpps_per_core, share.cores)),
    );
    cells.push(
        match line.basis {
            Basis::Measured => "measured",
            Basis::Instructions => "instruction counts of its decoder",
            Basis::OtherProtocol => "instruction counts of the dearest decoder",
        }
        .to_owned(),
    );
    cells
}

fn name(line: &BudgetLine) -> String {
    match line.ports.as_slice() {
        [] => line.traffic.clone(),
        ports => {
            let shown: Vec<String> = ports.iter().take(4).map(u16::to_string).collect();
            let more = if ports.len() > shown.len() { ", ..." } else { "" };
            format!("{} (port {}{more})", line.traffic, shown.join(", "))
        }
    }
}

pub(super) fn shown(share: &Share) -> &'static str {
    match share.frames {
        "64" => "64 bytes",
        "1500" => "1500 bytes",
        _ => "IMIX",
    }
}
