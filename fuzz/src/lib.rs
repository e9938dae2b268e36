//! Fuzz targets, in `tests/readers.rs`.
