/** Suites of the lab tier, unchanged, on the real kube-apiserver and controller-manager. Drills that need a server to fail on demand stay there. */
process.env.FAIRLEAD_LAB_API = 'real';
await import('../lab/reach.test.ts');
await import('../lab/members.test.ts');
