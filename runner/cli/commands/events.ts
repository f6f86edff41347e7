import { parseFilters } from "../filter.ts";
import { boolean, list, string, value } from "../flags.ts";
import { parseMoment } from "../moment.ts";
import { EVENT_FILTERS, eventObject, eventText, keepsEvent } from "../rows-events.ts";
import { compileTemplate } from "../template.ts";
import { defineVerb, engineOf } from "../verb.ts";

const moment = (text: string) => parseMoment(text, Date.now());

export default defineVerb({
  name: "events",
  usage: "",
  summary: "Show what happens to containers, images and volumes, as it happens.",
  flags: {
    since: value(moment, { placeholder: "TIME", help: "begin with what happened since then" }),
    until: value(moment, { placeholder: "TIME", help: "end then" }),
    filter: list({ short: "f", placeholder: "KEY=VALUE", help: `keep some only, by ${EVENT_FILTERS.join(", ")}` }),
    format: string({ placeholder: "TEMPLATE", help: '"json", or a Go template' }),
    noTrunc: boolean({ default: true, help: "accepted: nothing is cut", hidden: true }),
    stream: boolean({ default: true, help: "go on with what happens next (default true)" }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox events --since 10m --stream=false", "the last ten minutes"],
    ["tsbox events -f type=container -f event=die --format json", "every end of a container, for a program"],
  ],
  async act({ flags }, context) {
    const { since, until, format, stream } = flags;
    const filters = parseFilters(flags.filter, EVENT_FILTERS);
    const json = format === "json" || format === "{{json .}}";
    const render = format === undefined || format === "" || json ? undefined : compileTemplate(format);
    const { events } = await import("../../engine/events.ts");
    const told = events(engineOf(context), {
      // without a beginning, what has been is of interest only if nothing comes after
      ...(since === undefined ? (stream ? {} : { since: 0 }) : { since }),
      ...(until === undefined ? {} : { until }),
      follow: stream && (until === undefined || until > context.now()),
      signal: context.signal,
    });
    for await (const entry of told) {
      if (!keepsEvent(entry, filters)) continue;
      const line = json ? JSON.stringify(eventObject(entry)) : render ? render(eventObject(entry)) : eventText(entry);
      context.stdout.write(`${line}\n`);
    }
  },
});
