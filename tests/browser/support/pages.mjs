// Every page, by name. A new page is added here, and is then measured, looked through and photographed like the others.

const PROJECT = "/projects/shop/web";

/** Pages of who is not signed in. */
export const OPEN_PAGES = [["sign-in", "/sign-in"]];

/** Pages of an owner, in an installation as `tests/browser/shop.rs` makes it. */
export function pages(facts) {
  const run = (name) => `/runs/${facts[name]}`;
  const stage = (name, key) => `${run(name)}/stages/${encodeURIComponent(key)}`;
  return [
    ["home", "/"],
    ["runs", "/runs"],
    ["runs-failed", "/runs?status=failed&project=shop/web"],
    ["runs-none", "/runs?branch=gone"],
    ["run-passed", run("green")],
    ["run-failed", run("red")],
    ["run-waiting", run("waiting")],
    ["run-at-work", run("slow")],
    ["timeline", `${run("green")}/timeline`],
    ["rerun", `${run("red")}/rerun`],
    ["changes", `${run("red")}/changes`],
    ["stage-failed", stage("red", facts.failing)],
    ["stage-at-work", stage("slow", "work")],
    ["reports", `${run("red")}/reports`],
    ["artifacts", `${run("green")}/artifacts`],
    ["approvals", "/approvals"],
    ["approval", `${stage("waiting", "approve")}/approval`],
    ["traces", "/traces"],
    ["trace", `/traces/${facts.trace}`],
    ["spend", "/spend"],
    ["spend-runs", "/spend?by=run&period=30d"],
    ["budgets", "/budgets"],
    ["budget", "/teams/shop/budgets/month"],
    ["budget-new", "/new-budget"],
    ["project", PROJECT],
    ["start", `${PROJECT}/start`],
    ["metrics", `${PROJECT}/metrics`],
    ["tests", `${PROJECT}/tests`],
    ["project-settings", `${PROJECT}/settings`],
    ["access", `${PROJECT}/settings/access`],
    ["secrets", `${PROJECT}/settings/secrets`],
    ["schedules", `${PROJECT}/settings/schedules`],
    ["webhooks", `${PROJECT}/settings/webhooks`],
    ["notifications", `${PROJECT}/settings/notifications`],
    ["project-new", "/projects/new"],
    ["teams", "/teams"],
    ["team", "/teams/shop"],
    ["team-settings", "/teams/shop/settings"],
    ["team-secrets", "/teams/shop/settings/secrets"],
    ["team-keys", "/teams/shop/settings/keys"],
    ["team-new", "/teams/new"],
    ["account", "/account"],
    ["tokens", "/account/tokens"],
    ["sessions", "/account/sessions"],
    ["people", "/admin/people"],
    ["person", "/admin/people/ben"],
    ["workers", "/admin/workers"],
    ["queue", "/admin/queue"],
    ["audit", "/admin/audit"],
    ["not-found", "/runs/01j00000000000000000000000", 404],
  ];
}
