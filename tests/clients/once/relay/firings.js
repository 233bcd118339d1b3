// What a Relay application would write: a page that is a connection, refetched by node, and the log live.

import { graphql } from 'react-relay';

export const query = graphql`
  query firingsQuery($count: Int!, $after: String) {
    ...firings_list @arguments(count: $count, after: $after)
  }
`;

export const list = graphql`
  fragment firings_list on Query
  @refetchable(queryName: "firingsPageQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, after: { type: "String" }) {
    firings(first: $count, after: $after) @connection(key: "firings_firings") {
      edges {
        node {
          id
          ...firings_row
        }
      }
    }
  }
`;

export const row = graphql`
  fragment firings_row on Firing @refetchable(queryName: "firingsRowQuery") {
    status
    dueAt
    trigger {
      name
    }
  }
`;

export const cancel = graphql`
  mutation firingsCancelMutation($input: FiringCancelInput!) {
    firingCancel(input: $input) {
      firing {
        ...firings_row
      }
      userErrors {
        code
        field
        message
      }
    }
  }
`;

export const live = graphql`
  subscription firingsLiveSubscription($after: String) {
    events(after: $after) {
      cursor
      events {
        id
        message
      }
    }
  }
`;
