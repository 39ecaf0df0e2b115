//! Which runs others are compared with. One definition for baselines of gates, approvals and retention.

/// The condition that a row of `runs`, by this name of the table, is green: it has passed, some stage of it has (one whose
/// stages were all skipped has shown nothing), and it is no request, as a fork may call its branch as it likes.
macro_rules! green {
    ($runs:literal) => {
        concat!(
            " (",
            $runs,
            ".status = 'passed' AND ",
            $runs,
            ".event <> 'pull_request' AND EXISTS (SELECT 1 FROM run_events WHERE run_events.run = ",
            $runs,
            ".id AND run_events.type = 'stage_finished' AND run_events.body LIKE '%\"status\":\"passed\"%')) "
        )
    };
}
pub(in crate::store) use green;
