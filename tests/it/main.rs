//! The stories. One binary, one module per noun or per concern.

#![cfg(test)]

use tests::TestApp;

mod action;
mod bad_input;
mod cron;
mod filter;
mod guard;
mod http_graphql;
mod operation;
mod schedule;
mod trigger;
mod websocket;
mod wire;
