//! From anomaly scores to figures of merit.
