//! With the real model.
