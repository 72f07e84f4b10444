//! Greenroom: tools.
