/** `https://…​.git`, `git://…`, `ssh://…`, `git@host:path`, each with `#REF:FOLDER` behind it if wanted. */
export function isGitAddress(text: string): boolean {
  const [address = ""] = text.split("#", 1);
  return (
    /^(git|ssh):\/\//.test(address) || /^git@[^/]+:/.test(address) || /^(https?|file):\/\/.*\.git\/?$/.test(address)
  );
}

export interface GitAddress {
  url: string;
  ref?: string;
  folder?: string;
}

export function parseGitAddress(text: string): GitAddress {
  const cut = text.indexOf("#");
  if (cut < 0) return { url: text };
  const [ref = "", folder = ""] = text.slice(cut + 1).split(":", 2);
  return { url: text.slice(0, cut), ...(ref && { ref }), ...(folder && { folder }) };
}
