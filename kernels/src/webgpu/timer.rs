//! Timestamps around every dispatch, where the adapter has them.

use super::context::Context;
use super::run::read;
use crate::Error;
use wgpu::{BufferUsages, Features, QUERY_RESOLVE_BUFFER_ALIGNMENT, QUERY_SET_MAX_QUERIES};

/// Query sets for a number of dispatches, two timestamps each.
pub(super) struct Timer {
    sets: Vec<wgpu::QuerySet>,
    count: usize,
    resolved: wgpu::Buffer,
    readback: wgpu::Buffer,
}

/// Timestamps of one set.
const SET: usize = QUERY_SET_MAX_QUERIES as usize;

impl Timer {
    /// A timer, or none where the adapter has no timestamps or there is nothing to time.
    pub(super) fn new(context: &Context, count: usize) -> Option<Self> {
        if !context.device.features().contains(Features::TIMESTAMP_QUERY) || count == 0 {
            return None;
        }
        let sets = (0..2 * count)
            .step_by(SET)
            .map(|start| {
                let size = (2 * count - start).min(SET);
                context.device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: None,
                    ty: wgpu::QueryType::Timestamp,
                    count: u32::try_from(size).expect("at most a set"),
                })
            })
            .collect();
        let size = (16 * count as u64).next_multiple_of(QUERY_RESOLVE_BUFFER_ALIGNMENT);
        let buffer = |usage| {
            context.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let resolved = buffer(BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC);
        let readback = buffer(BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        Some(Self { sets, count, resolved, readback })
    }

    /// Where the pass of a dispatch writes its timestamps.
    pub(super) fn writes(&self, dispatch: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = u32::try_from(2 * dispatch % SET).expect("at most a set");
        wgpu::ComputePassTimestampWrites {
            query_set: &self.sets[2 * dispatch / SET],
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Collects all timestamps, after the last pass.
    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        for (index, set) in self.sets.iter().enumerate() {
            let size = (2 * self.count - index * SET).min(SET);
            let range = 0..u32::try_from(size).expect("at most a set");
            let offset = (index * SET * 8) as u64;
            encoder.resolve_query_set(set, range, &self.resolved, offset);
        }
        let size = self.resolved.size();
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.readback, 0, size);
    }

    /// The device time of each dispatch in nanoseconds, after the submission is done.
    pub(super) fn read(&self, context: &Context) -> Result<Vec<u64>, Error> {
        let bytes = read(context, &self.readback)?;
        let ticks: Vec<_> =
            bytes.as_chunks::<8>().0.iter().map(|&word| u64::from_le_bytes(word)).collect();
        drop(bytes);
        self.readback.unmap();
        let period = f64::from(context.queue.get_timestamp_period());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a span of ticks is far below 2^53"
        )]
        let nanoseconds = |pair: &[u64; 2]| {
            // Some drivers order the two wrongly around an empty pass.
            (pair[1].saturating_sub(pair[0]) as f64 * period) as u64
        };
        Ok(ticks.as_chunks::<2>().0.iter().take(self.count).map(nanoseconds).collect())
    }
}
