/**
 * Uploads on disk, and their way back: `deno run -A examples/uploads/app.ts --into /srv/photos`. Without
 * `--into` they go to a directory of their own.
 */

import * as skitai from "@skitai/skitai";
import { Atila, FILES } from "@skitai/skitai/atila";

const [options] = skitai.argopt("", ["into="]);
const into = new Map(options).get("--into") ?? await Deno.makeTempDir({ prefix: "photos-" });

const app = new Atila(import.meta.url);
app.config.maxMultipartBodySize = 2_000_000_000;
app.config.maxUploadFileSize = 500_000_000;
// On the same disk a file is moved, not copied.
app.config.uploadDir = into;

const isPhoto = (name: string) => !name.startsWith("skitai-upload-");

app.route("/", { methods: ["GET"] }, async (was) => {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(into)) if (isPhoto(name)) names.push(name);
  return await was.render("photos.html", { names: names.sort() });
});

app.route(
  "/",
  { name: "add", methods: ["POST"], args: { photos: FILES } },
  async (was, { photos }) => {
    // Two of the same name get different ones, whatever their names were.
    for (const photo of photos) await photo.save(into);
    return was.redirect("/", "303 See Other");
  },
);

// Names come from the directory only; a client cannot choose what is opened.
app.route("/photos/<path:name>", async (was, { name }) => {
  for await (const entry of Deno.readDir(into)) {
    if (entry.name === name && isPhoto(name)) {
      was.response.setHeader("x-content-type-options", "nosniff");
      return was.response.file(`${into}/${name}`, "application/octet-stream", name);
    }
  }
  throw was.response.throw("404 Not Found", "there is no such photo");
});

skitai.mount("/", app);
await skitai.run();
