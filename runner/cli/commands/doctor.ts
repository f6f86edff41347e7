import type { Finding } from "../../engine/doctor.ts";
import { boolean, choice } from "../flags.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "doctor",
  usage: "",
  summary: "Check what this machine allows, and say how to get the rest.",
  description:
    "Each feature is tried, not guessed. Exit status 1 when something is missing that containers cannot do without.",
  flags: {
    json: boolean({ help: "print a JSON list" }),
    format: choice(["json"], { help: "the same as --json" }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox doctor", "the whole list"],
    ["tsbox doctor --json", "the same for a program"],
  ],
  async act({ flags }, context) {
    const { doctor } = await import("../../engine/doctor.ts");
    const findings = await doctor(engineOf(context));
    const json = flags.json || flags.format === "json";
    context.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : doctorText(findings));
    return findings.some((finding) => finding.needed && !finding.ok) ? 1 : 0;
  },
});

export function doctorText(findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map((finding) => finding.feature.length));
  const lines = findings.flatMap((finding) => {
    const mark = finding.ok ? "ok  " : finding.needed ? "FAIL" : "weak";
    const about = [finding.purpose, finding.detail].filter((text) => text !== "").join("; ");
    const line = `${mark}  ${finding.feature.padEnd(width)}  ${about}`.trimEnd();
    return finding.fix === undefined ? [line] : [line, `${" ".repeat(width + 8)}fix: ${finding.fix}`];
  });
  const missing = findings.filter((finding) => !finding.ok);
  const verdict = missing.some((finding) => finding.needed)
    ? "Containers cannot run here yet: see the lines marked FAIL."
    : missing.length > 0
      ? "Containers run here; the lines marked weak say what is missing."
      : "Everything works.";
  return `${[...lines, "", verdict].join("\n")}\n`;
}
