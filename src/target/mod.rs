//! Hardware profiles and what a candidate costs on them.
