/** Cases of the API server suite: lists, pages, selectors. */
import assert from 'node:assert/strict';
import { type Cases, configMap, done, names, pod } from './server-suite-case.ts';

export const listCases: Cases = {
  'a list is in order, with kind and version; items of built-in kinds have neither'({ api, path }) {
    return done(async () => {
      for (const name of ['b', 'a', 'a-b']) await api.post(`${path}/configmaps`, configMap(name));
      const { body } = await api.get(`${path}/configmaps?labelSelector=!none`);
      assert.deepEqual([body.kind, body.apiVersion], ['ConfigMapList', 'v1']);
      assert.deepEqual(names(body), ['a', 'a-b', 'b']);
      assert.equal(body.items[0].kind, undefined);
    });
  },
  'pages show one revision, whatever happens between them'({ api, path }) {
    return done(async () => {
      for (const name of ['a', 'b', 'c', 'd']) await api.post(`${path}/configmaps`, configMap(name));
      const first = await api.get(`${path}/configmaps?limit=2`);
      assert.deepEqual(names(first.body), ['a', 'b']);
      assert.equal(first.body.metadata.remainingItemCount, 2);
      await api.delete(`${path}/configmaps/c`);
      await api.post(`${path}/configmaps`, configMap('bb'));
      const token = first.body.metadata.continue;
      const second = await api.get(`${path}/configmaps?limit=2&continue=${token}`);
      assert.deepEqual(names(second.body), ['c', 'd']);
      assert.equal(second.body.metadata.continue, undefined);
      assert.equal(second.body.metadata.resourceVersion, first.body.metadata.resourceVersion);
    });
  },
  'limits with selectors count what is selected'({ api, path }) {
    return done(async () => {
      for (const name of ['a', 'b', 'c'])
        await api.post(`${path}/configmaps`, configMap(name, { odd: name === 'b' ? 'n' : 'y' }));
      const first = await api.get(`${path}/configmaps?limit=1&labelSelector=odd%3Dy`);
      assert.deepEqual(names(first.body), ['a']);
      assert.equal(first.body.metadata.remainingItemCount, undefined);
      const rest = await api.get(
        `${path}/configmaps?labelSelector=odd%3Dy&continue=${first.body.metadata.continue}`,
      );
      assert.deepEqual(names(rest.body), ['c']);
    });
  },
  'label selectors'({ api, path }) {
    return done(async () => {
      await api.post(`${path}/secrets`, { metadata: { name: 'a', labels: { env: 'prod', tier: 'web' } } });
      await api.post(`${path}/secrets`, { metadata: { name: 'b', labels: { env: 'test' } } });
      await api.post(`${path}/secrets`, { metadata: { name: 'c' } });
      const chosen: Record<string, string[]> = {
        'env=prod': ['a'],
        'env==test': ['b'],
        'env!=prod': ['b', 'c'],
        'env in (prod,test)': ['a', 'b'],
        'env notin (prod)': ['b', 'c'],
        env: ['a', 'b'],
        '!env': ['c'],
        'env in (prod,test),tier': ['a'],
        'env in ()': [],
      };
      for (const [selector, wanted] of Object.entries(chosen)) {
        const { body } = await api.get(`${path}/secrets?labelSelector=${encodeURIComponent(selector)}`);
        assert.deepEqual(names(body), wanted, selector);
      }
      const bad = await api.get(`${path}/secrets?labelSelector=${encodeURIComponent('a b')}`);
      assert.equal(bad.status, 400);
      assert.match(bad.body.message, /unable to parse requirement: found 'b', expected: in, notin/);
    });
  },
  'field selectors'({ api, path }) {
    return done(async () => {
      await api.post(`${path}/pods`, pod('here', { nodeName: 'n1' }));
      await api.post(`${path}/pods`, pod('there', { nodeName: 'n2' }));
      const choose = async (selector: string): Promise<string[]> =>
        names((await api.get(`${path}/pods?fieldSelector=${encodeURIComponent(selector)}`)).body);
      assert.deepEqual(await choose('spec.nodeName=n1'), ['here']);
      assert.deepEqual(await choose('spec.nodeName!=n1'), ['there']);
      assert.deepEqual(await choose('metadata.name=there,status.phase=Pending'), ['there']);
      const bad = await api.get(`${path}/pods?fieldSelector=spec.foo%3D1`);
      assert.equal(bad.status, 400);
      assert.equal(bad.body.message, 'field label not supported: spec.foo');
    });
  },
  'resourceVersion of lists'({ api, path }) {
    return done(async () => {
      const { body } = await api.post(`${path}/configmaps`, configMap('v1'));
      const version = body.metadata.resourceVersion;
      await api.post(`${path}/configmaps`, configMap('v2'));
      const exact = await api.get(`${path}/configmaps?resourceVersion=${version}&resourceVersionMatch=Exact`);
      assert.deepEqual(
        names(exact.body).filter((n) => n.startsWith('v')),
        ['v1'],
      );
      assert.equal(exact.body.metadata.resourceVersion, version);
      const newer = await api.get(
        `${path}/configmaps?resourceVersion=${version}&resourceVersionMatch=NotOlderThan`,
      );
      assert.ok(names(newer.body).includes('v1'));
      const future = await api.get(`${path}/configmaps?resourceVersion=99999999999`);
      assert.equal(future.status, 504);
      assert.equal(future.body.details.causes[0].reason, 'ResourceVersionTooLarge');
      assert.equal((await api.get(`${path}/configmaps?resourceVersion=abc`)).status, 400);
      assert.equal((await api.get(`${path}/configmaps?resourceVersionMatch=Exact`)).status, 422);
      assert.equal((await api.get(`${path}/configmaps?continue=abc`)).status, 400);
    });
  },
};
