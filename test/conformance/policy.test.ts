/** NetworkPolicy: the truth tables as real packets in labs of three nodes, both families. All of them: `npm run cases -- policy FOLDER`. */
import { playRounds } from './policy-lab.ts';

playRounds('policy', [
  { transport: 'layer2', api: 'lab', oneIn: { 'netpol-cases': 5, 'own-policy': 3 } },
  { transport: 'vxlan', api: 'real', oneIn: { 'netpol-cases': 23, 'own-policy': 6 } },
]);
