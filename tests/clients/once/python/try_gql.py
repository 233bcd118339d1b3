"""gql over HTTP and over the WebSocket."""

import asyncio
import os
from pathlib import Path

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.websockets import WebsocketsTransport
from graphql import build_schema

HTTP = os.environ["BELFRY_URL"] + "/graphql"
WS = HTTP.replace("http", "ws", 1)
HEADERS = {"Authorization": "Bearer " + os.environ["BELFRY_KEY"]}
SCHEMA = build_schema(Path("schema.graphql").read_text())
EVENT = {"email": "a@b.c", "environment": "test", "component": "gql", "data": {}}
LOG = "mutation($e: EventInput!) { eventLog(input: {event: $e}) { event { message } } }"
TAIL = """subscription { events(q: "component eq 'gql'", heartbeat: "PT1S") { events { message } } }"""


async def log(session, message):
    request = gql(LOG)
    request.variable_values = {"e": {**EVENT, "message": message}}
    await session.execute(request)


async def main():
    payload = {"apiKey": os.environ["BELFRY_KEY"]}
    # gql 4.4 looks for the server's choice under a name in mixed case and takes the older protocol when
    # the header is written in lower case, as servers in Rust do.
    protocols = [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
    http = Client(transport=AIOHTTPTransport(url=HTTP, headers=HEADERS), schema=SCHEMA)
    socket = Client(transport=WebsocketsTransport(url=WS, init_payload=payload, subprotocols=protocols))
    async with http as session, socket as live:
        answer = await session.execute(gql("{ server { version } }"))
        print("ok    gql: query", answer["server"]["version"])
        is_first, heard = True, []
        async for batch in live.subscribe(gql(TAIL)):
            if is_first:
                for message in "abc":
                    await log(session, message)
            is_first = False
            heard += [event["message"] for event in batch["events"]["events"]]
            if 3 <= len(heard):
                break
        assert heard == ["a", "b", "c"], heard
        print("ok    gql: mutation, and subscription over the WebSocket", heard)


asyncio.run(main())
