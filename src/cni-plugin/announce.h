#ifndef FAIRLEAD_ANNOUNCE_H
#define FAIRLEAD_ANNOUNCE_H

/* Tells all neighbours of the interface `ifname` in the network namespace `netns` which MAC address its addresses have now. The calling
 * process is in that namespace afterwards. Gives a reason when somebody may not have been told, else NULL. */
const char *announce(const char *netns, const char *ifname);

#endif
