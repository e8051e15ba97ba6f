"""The page of PostgreSQL with FastAPI and asyncpg, in one process.

The pool has as many connections as the JavaScript driver takes, and does not reset a connection
with a statement of its own when it comes back, as that driver does not either.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Item(BaseModel):
    id: int
    name: str
    price: int
    created_at: datetime


class Page(BaseModel):
    rows: list[Item]
    count: int


async def keep(_: asyncpg.Connection) -> None:
    """Leaves a connection as it is."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    address = f"postgres://{os.environ['BACKEND']}"
    async with asyncpg.create_pool(address, min_size=10, max_size=10, reset=keep) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def page() -> Page:
    pool = app.state.pool
    rows, count = await asyncio.gather(
        pool.fetch("select * from items order by created_at desc limit 10"),
        pool.fetchval("select count(*)::int n from items"),
    )
    # A response model checks dictionaries with less work than it makes and checks objects.
    return {"rows": [dict(row) for row in rows], "count": count}


uvicorn.run(
    app,
    host="127.0.0.1",
    port=int(os.environ["PORT"]),
    loop="uvloop",
    http="httptools",
    access_log=False,
    server_header=False,
    log_level="warning",
)
