//! Who waits for whom, both ways, in flat arrays: made once for a run, and never changed.

use std::collections::VecDeque;

use crate::model::StageIndex;
use crate::pipeline::Plan;

/// The edges of a plan. A need that points outside of the plan is no edge.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) struct Graph {
    needs: Edges,
    followers: Edges,
    /// Stages on the longest path that starts behind this stage.
    depths: Vec<u32>,
}

impl Graph {
    pub(in crate::engine) fn new(plan: &Plan) -> Self {
        let count = plan.stages.len();
        let needs = Edges::of_needs(plan);
        let followers = needs.reversed(count);
        let depths = depths(&needs, &followers, count);
        Self { needs, followers, depths }
    }

    /// What the stage waits for; one entry for each edge.
    pub(in crate::engine) fn needs(&self, stage: StageIndex) -> &[StageIndex] {
        self.needs.of(stage)
    }

    /// What waits for the stage; one entry for each edge.
    pub(in crate::engine) fn followers(&self, stage: StageIndex) -> &[StageIndex] {
        self.followers.of(stage)
    }

    /// How many stages must follow one after the other once this one is done. What has the most
    /// before it starts first, so that the longest path of the run is never kept waiting.
    pub(in crate::engine) fn depth(&self, stage: StageIndex) -> u32 {
        self.depths.get(stage.as_usize()).copied().unwrap_or(0)
    }
}

/// The ends of every stage's edges, one stage after the other.
#[derive(Debug, PartialEq, Eq)]
struct Edges {
    /// Where the ends of a stage begin; one more entry than there are stages.
    starts: Vec<usize>,
    ends: Vec<StageIndex>,
}

impl Edges {
    fn of_needs(plan: &Plan) -> Self {
        let mut edges = Self { starts: vec![0], ends: Vec::new() };
        for planned in &plan.stages {
            let needs = planned.needs.iter().map(|need| need.stage);
            edges.ends.extend(needs.filter(|need| need.as_usize() < plan.stages.len()));
            edges.starts.push(edges.ends.len());
        }
        edges
    }

    fn of(&self, stage: StageIndex) -> &[StageIndex] {
        let start = self.starts.get(stage.as_usize());
        let end = self.starts.get(stage.as_usize().saturating_add(1));
        let (Some(start), Some(end)) = (start, end) else { return &[] };
        self.ends.get(*start..*end).unwrap_or_default()
    }

    /// The same edges from their other end; those of one stage stay in the order of the plan.
    fn reversed(&self, count: usize) -> Self {
        let mut starts = vec![0; count + 1];
        for end in &self.ends {
            if let Some(next) = starts.get_mut(end.as_usize() + 1) {
                *next += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut free = starts.clone();
        let mut ends = vec![StageIndex(0); self.ends.len()];
        for stage in (0_u32..).map(StageIndex).take(count) {
            for end in self.of(stage) {
                let Some(place) = free.get_mut(end.as_usize()) else { continue };
                if let Some(slot) = ends.get_mut(*place) {
                    *slot = stage;
                }
                *place += 1;
            }
        }
        Self { starts, ends }
    }
}

fn depths(needs: &Edges, followers: &Edges, count: usize) -> Vec<u32> {
    let stages = || (0_u32..).map(StageIndex).take(count);
    let mut depths = vec![0_u32; count];
    let mut open: Vec<usize> = stages().map(|stage| followers.of(stage).len()).collect();
    let mut todo: VecDeque<_> = stages().filter(|it| followers.of(*it).is_empty()).collect();
    while let Some(stage) = todo.pop_front() {
        let above = depths.get(stage.as_usize()).map_or(0, |depth| depth + 1);
        for need in needs.of(stage) {
            if let Some(depth) = depths.get_mut(need.as_usize()) {
                *depth = above.max(*depth);
            }
            let Some(left) = open.get_mut(need.as_usize()) else { continue };
            *left -= 1;
            if *left == 0 {
                todo.push_back(*need);
            }
        }
    }
    depths
}
