/** A project with directories of its own, in another framework. */

import { Hono } from "hono";
import { things } from "./models/things.ts";

/** The app. */
export const application: Hono = new Hono().basePath("/project");

application.get("/things", (c) => c.json(things));
