import { readdirSync, readFileSync } from "node:fs";

/** The licence texts of the packages whose files are among the inputs of a bundle; most ask to go with each copy. */
export function thirdPartyNotices(inputs: string[]): string {
  const packages = new Set(inputs.map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]));
  const notices = [...packages]
    .filter((name) => name !== undefined)
    .sort()
    .map((name) => {
      const folder = `node_modules/${name}`;
      const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
      const texts = readdirSync(folder)
        .filter((file) => /^licen[cs]e/i.test(file))
        .map((file) => readFileSync(`${folder}/${file}`, "utf8").trim());
      return [`${name} ${version} (${license})`, ...texts].join("\n\n");
    });
  return `Parts of these packages are in the bundles:\n\n${notices.join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}
