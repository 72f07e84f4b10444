//! Greenroom: actors.
