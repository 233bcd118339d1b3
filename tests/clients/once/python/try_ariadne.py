"""The client that ariadne-codegen made of schema.graphql and queries.graphql."""

import asyncio
import os

import made

HTTP = os.environ["BELFRY_URL"] + "/graphql"
WS = HTTP.replace("http", "ws", 1)
HEADERS = {"Authorization": "Bearer " + os.environ["BELFRY_KEY"]}
EVENT = {"email": "a@b.c", "environment": "test", "component": "ariadne", "message": "one", "data": {}}


async def main():
    async with made.Client(url=HTTP, headers=HEADERS, ws_url=WS, ws_headers=HEADERS) as client:
        print("ok    ariadne-codegen: query", (await client.server()).server.version)
        is_first = True
        async for batch in client.tail(q="component eq 'ariadne'"):
            if is_first:
                await client.log(event=made.EventInput(**EVENT))
            is_first = False
            heard = [event.message for event in batch.events.events]
            if heard:
                break
        assert heard == ["one"], heard
        print("ok    ariadne-codegen: mutation, and subscription", heard)


asyncio.run(main())
