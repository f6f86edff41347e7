/**
 * The words that start this program again to explain a failed set-up: the helper, which replaced us, adds the failing event and
 * executes them. Its text and hints so stay in one place (explain.ts).
 */
export function explainCommand(): string[] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? "", "explain"];
}
