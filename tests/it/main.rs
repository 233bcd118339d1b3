//! The stories. One binary, one module per noun or per concern.

#![cfg(test)]

use tests::TestApp;

mod api_key;
mod bus;
mod cron;
mod event;
mod filter;
mod firing;
mod guard;
mod http_graphql;
mod operation;
mod queue;
mod rest;
mod retention;
mod store;
mod story;
mod timer;
mod websocket;
mod wire;
