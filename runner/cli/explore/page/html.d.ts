/** A page with its style and script inlined, as scripts/bundle.ts gives it. */
declare module "*.html" {
  const text: string;
  export default text;
}
