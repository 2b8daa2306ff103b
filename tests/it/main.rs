//! Black-box tests over the real binary.
