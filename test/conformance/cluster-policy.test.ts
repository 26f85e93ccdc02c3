/** ClusterNetworkPolicy: the truth tables as real packets in labs of three nodes, both families. All of them: `npm run cases -- cluster-policy FOLDER`. */
import { playRounds } from './policy-lab.ts';

playRounds('cluster-policy', [
  { transport: 'layer2', api: 'lab', oneIn: { 'cnp-cases': 2, 'own-cluster-policy': 2 } },
  { transport: 'vxlan', api: 'real', oneIn: { 'cnp-cases': 6, 'own-cluster-policy': 10 } },
]);
