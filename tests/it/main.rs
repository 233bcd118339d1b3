//! The stories. One binary, one module per noun or per concern.

#![cfg(test)]

use tests::TestApp;

mod bus;
mod cli;
mod cron;
mod engine;
mod filter;
mod firing;
mod floors;
mod guard;
mod http_graphql;
mod operation;
mod process;
mod queue;
mod readme;
mod schedule;
mod story;
mod trigger;
mod websocket;
mod wire;
