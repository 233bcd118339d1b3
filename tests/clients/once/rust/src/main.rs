//! What cynic and graphql_client make of the schema: `clients <which> request` prints a request, and
//! `clients <which> answer` reads what came back.

#![expect(dead_code, reason = "what is read is only printed")]

use std::error::Error;
use std::io;

#[cynic::schema("belfry")]
mod schema {}

mod by_cynic {
    use super::schema;

    #[derive(cynic::QueryVariables)]
    pub struct PageVariables {
        pub first: Option<i32>,
    }

    #[derive(cynic::QueryFragment, Debug)]
    #[cynic(graphql_type = "Query", variables = "PageVariables")]
    pub struct Page {
        pub server: Server,
        #[arguments(first: $first)]
        pub firings: FiringConnection,
    }

    #[derive(cynic::QueryFragment, Debug)]
    pub struct Server {
        pub version: String,
    }

    #[derive(cynic::QueryFragment, Debug)]
    pub struct FiringConnection {
        pub nodes: Vec<Firing>,
    }

    #[derive(cynic::QueryFragment, Debug)]
    pub struct Firing {
        pub id: cynic::Id,
        pub status: FiringStatus,
    }

    #[derive(cynic::Enum, Clone, Copy, Debug)]
    pub enum FiringStatus {
        Waiting,
        Scheduled,
        Executing,
        Retrying,
        Completed,
        Failed,
        Skipped,
        Cancelled,
        Abandoned,
        Replayed,
    }
}

#[derive(graphql_client::GraphQLQuery)]
#[graphql(schema_path = "schema.graphql", query_path = "src/operation.graphql", response_derives = "Debug")]
struct Page;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [which, what] = &arguments[..] else { return Err("expected two arguments".into()) };
    match (which.as_str(), what.as_str()) {
        ("cynic", "request") => {
            use cynic::QueryBuilder as _;
            let operation = by_cynic::Page::build(by_cynic::PageVariables { first: Some(3) });
            serde_json::to_writer(io::stdout(), &operation)?;
        }
        ("cynic", "answer") => {
            let answer: cynic::GraphQlResponse<by_cynic::Page> = serde_json::from_reader(io::stdin())?;
            let page = answer.data.ok_or("no data")?;
            println!("ok    cynic: {page:?}");
        }
        ("graphql_client", "request") => {
            use graphql_client::GraphQLQuery as _;
            let request = Page::build_query(page::Variables { first: Some(3) });
            serde_json::to_writer(io::stdout(), &request)?;
        }
        ("graphql_client", "answer") => {
            let answer: graphql_client::Response<page::ResponseData> = serde_json::from_reader(io::stdin())?;
            println!("ok    graphql_client: {:?}", answer.data.ok_or("no data")?);
        }
        _ => return Err("expected cynic or graphql_client, request or answer".into()),
    }
    Ok(())
}
