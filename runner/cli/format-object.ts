import { compileTemplate } from "./template.ts";

/** One object: as lines for people, as JSON for `--format json`, or by a Go template. The template is read at once. */
export function formatObject(format: string | undefined): (data: object) => string {
  if (format === undefined || format === "") return (data) => objectLines(data, "");
  if (format === "json") return (data) => `${JSON.stringify(data)}\n`;
  const render = compileTemplate(format);
  return (data) => `${render(data)}\n`;
}

function objectLines(data: object, indent: string): string {
  return Object.entries(data)
    .map(([key, value]) => {
      const label = indent + (Array.isArray(data) ? "-" : `${key}:`);
      if (value === null || typeof value !== "object") return `${label} ${value}\n`;
      if (Object.values(value).every((item) => item === null || typeof item !== "object")) {
        const items = Array.isArray(value) ? value : Object.entries(value).map(([k, v]) => `${k} ${v}`);
        return `${label} ${items.join(", ")}\n`;
      }
      return `${label}\n${objectLines(value, `${indent}  `)}`;
    })
    .join("");
}
