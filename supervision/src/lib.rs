//! Greenroom: supervision.
