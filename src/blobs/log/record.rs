//! Records of fixed size in a file beside a log: three numbers, little-endian, 24 bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::none_if_missing;
use crate::model::Timestamp;

pub(super) const RECORD_BYTES: u64 = 24;

/// The number that stands for the end of a log among its sections.
pub(super) const END: u64 = u64::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// In the line index: line feeds before `offset`. Among the sections: the step, or [`END`].
    pub(super) number: u64,
    pub(super) offset: u64,
    pub(super) at: Timestamp,
}

type Fields = [[u8; 8]; 3];

impl Record {
    fn to_fields(self) -> Fields {
        [self.number.to_le_bytes(), self.offset.to_le_bytes(), self.at.0.to_le_bytes()]
    }

    fn from_fields([number, offset, at]: Fields) -> Self {
        Self {
            number: u64::from_le_bytes(number),
            offset: u64::from_le_bytes(offset),
            at: Timestamp(i64::from_le_bytes(at)),
        }
    }
}

pub(super) fn write(file: &File, records: &[Record], position: u64) -> io::Result<()> {
    let fields: Vec<Fields> = records.iter().map(|it| it.to_fields()).collect();
    file.write_all_at(fields.as_flattened().as_flattened(), position)
}

/// All whole records; none when there is no such file.
pub(super) fn read_all(path: &Path) -> io::Result<Vec<Record>> {
    let bytes = none_if_missing(std::fs::read(path))?.unwrap_or_default();
    let (numbers, _) = bytes.as_chunks::<8>();
    let (records, _) = numbers.as_chunks::<3>();
    Ok(records.iter().copied().map(Record::from_fields).collect())
}

/// A file of records that is searched without reading it whole.
pub(super) struct Records {
    file: File,
    count: u64,
}

impl Records {
    /// `None` when there is no such file.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let Some(file) = none_if_missing(File::open(path))? else { return Ok(None) };
        let count = file.metadata()?.len() / RECORD_BYTES;
        Ok(Some(Self { file, count }))
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn get(&self, index: u64) -> io::Result<Record> {
        let mut fields: Fields = [[0; 8]; 3];
        self.file.read_exact_at(fields.as_flattened_mut(), index * RECORD_BYTES)?;
        Ok(Record::from_fields(fields))
    }

    /// How many records at the beginning are so; those behind are not.
    pub(super) fn partition_point(&self, is_before: impl Fn(Record) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = u64::midpoint(low, high);
            if is_before(self.get(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The last record that is so.
    pub(super) fn last_that(
        &self,
        is_before: impl Fn(Record) -> bool,
    ) -> io::Result<Option<Record>> {
        let count = self.partition_point(is_before)?;
        count.checked_sub(1).map(|index| self.get(index)).transpose()
    }
}
