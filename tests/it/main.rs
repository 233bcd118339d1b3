//! The stories. One binary, one module per noun or per concern.

#![cfg(test)]

use tests::TestApp;

mod action;
mod api_key;
mod bad_input;
mod bus;
mod checker;
mod cli;
mod connect;
mod cron;
mod deploy;
mod drain;
mod engine;
mod event;
mod every_operation;
mod fairness;
mod filter;
mod firing;
mod floors;
mod forecast;
mod guard;
mod http_graphql;
mod metrics;
mod operation;
mod postgres;
mod process;
mod queue;
mod readme;
mod rest;
mod retention;
mod roles;
mod schedule;
mod services;
mod store;
mod story;
mod telemetry;
mod timer;
mod transfer;
mod trigger;
mod websocket;
mod wire;
