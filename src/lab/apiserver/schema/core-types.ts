/** The rest of core/v1, and the metadata that all objects share, in the notation of `notation.ts`. Facts of the Kubernetes 1.36 API. */
export const coreTypes = `
AttachedVolume devicePath!:s#2 name!:s#1
Binding apiVersion:s kind:s metadata:ObjectMeta#1 target!:ObjectReference#2
ClientIPConfig timeoutSeconds:i#1
ConfigMap apiVersion:s binaryData:{y}#3 data:{s}#2 immutable:b#4 kind:s metadata:ObjectMeta#1
ConfigMapNodeConfigSource kubeletConfigKey!:s#5 name!:s#2 namespace!:s#1 resourceVersion:s#4 uid:s#3
ContainerExtendedResourceRequest containerName!:s#1 requestName!:s#3 resourceName!:s#2
ContainerImage names:[s]#1 sizeBytes:i#2
ContainerState running:ContainerStateRunning#2 terminated:ContainerStateTerminated#3
  waiting:ContainerStateWaiting#1
ContainerStateRunning startedAt:t#1
ContainerStateTerminated containerID:s#7 exitCode!:i#1 finishedAt:t#6 message:s#4 reason:s#3 signal:i#2
  startedAt:t#5
ContainerStateWaiting message:s#2 reason:s#1
ContainerStatus allocatedResources:{q}#10 allocatedResourcesStatus:[ResourceStatus]~name#14 containerID:s#8
  image!:s#6 imageID!:s#7 lastState:ContainerState#3 name!:s#1 ready!:b#4 resources:ResourceRequirements#11
  restartCount!:i#5 started:b#9 state:ContainerState#2 stopSignal:s#15 user:ContainerUser#13
  volumeMounts:[VolumeMountStatus]~mountPath#12
ContainerUser linux:LinuxContainerUser#1
DaemonEndpoint Port!:i#1
EndpointAddress@ hostname:s#3 ip!:s#1 nodeName:s#4 targetRef:ObjectReference#2
EndpointPort@ appProtocol:s#4 name:s#1 port!:i#2 protocol:s#3
EndpointSubset addresses:[EndpointAddress]#1 notReadyAddresses:[EndpointAddress]#2 ports:[EndpointPort]#3
Endpoints apiVersion:s kind:s metadata:ObjectMeta#1 subsets:[EndpointSubset]#2
Event action:s#12 apiVersion:s count:i#8 eventTime:t#10 firstTimestamp:t#6 involvedObject!:ObjectReference#2
  kind:s lastTimestamp:t#7 message:s#4 metadata!:ObjectMeta#1 reason:s#3 related:ObjectReference#13
  reportingComponent:s#14 reportingInstance:s#15 series:EventSeries#11 source:EventSource#5 type:s#9
EventSeries count:i#1 lastObservedTime:t#2
EventSource component:s#1 host:s#2
HostIP ip!:s#1
ImageVolumeStatus imageRef!:s#1
LinuxContainerUser gid!:i#2 supplementalGroups:[i]#3 uid!:i#1
LoadBalancerIngress hostname:s#2 ip:s#1 ipMode:s#3 ports:[PortStatus]#4
LoadBalancerStatus ingress:[LoadBalancerIngress]#1
Namespace apiVersion:s kind:s metadata:ObjectMeta#1 spec:NamespaceSpec#2 status:NamespaceStatus#3
NamespaceCondition lastTransitionTime:t#4 message:s#6 reason:s#5 status!:s#2 type!:s#1
NamespaceSpec finalizers:[s]#1
NamespaceStatus conditions:[NamespaceCondition]~type#2 phase:s#1
Node apiVersion:s kind:s metadata:ObjectMeta#1 spec:NodeSpec#2 status:NodeStatus#3
NodeAddress address!:s#2 type!:s#1
NodeAllocatableResourceClaimStatus containers:[s]=#2 resourceClaimName!:s#1 resources!:{q}#3
NodeCondition lastHeartbeatTime:t#3 lastTransitionTime:t#4 message:s#6 reason:s#5 status!:s#2 type!:s#1
NodeConfigSource configMap:ConfigMapNodeConfigSource#2
NodeConfigStatus active:NodeConfigSource#2 assigned:NodeConfigSource#1 error:s#4
  lastKnownGood:NodeConfigSource#3
NodeDaemonEndpoints kubeletEndpoint:DaemonEndpoint#1
NodeFeatures supplementalGroupsPolicy:b#1
NodeRuntimeHandler features:NodeRuntimeHandlerFeatures#2 name:s#1
NodeRuntimeHandlerFeatures recursiveReadOnlyMounts:b#1 userNamespaces:b#2
NodeSpec configSource:NodeConfigSource#6 externalID:s#2 podCIDR:s#1 podCIDRs:[s]~=#7 providerID:s#3
  taints:[Taint]#5 unschedulable:b#4
NodeStatus addresses:[NodeAddress]~type#5 allocatable:{q}#2 capacity:{q}#1 conditions:[NodeCondition]~type#4
  config:NodeConfigStatus#11 daemonEndpoints:NodeDaemonEndpoints#6 declaredFeatures:[s]#14
  features:NodeFeatures#13 images:[ContainerImage]#8 nodeInfo:NodeSystemInfo#7 phase:s#3
  runtimeHandlers:[NodeRuntimeHandler]#12 volumesAttached:[AttachedVolume]#10 volumesInUse:[s]#9
NodeSwapStatus capacity:i#1
NodeSystemInfo architecture!:s#10 bootID!:s#3 containerRuntimeVersion!:s#6 kernelVersion!:s#4
  kubeProxyVersion!:s#8 kubeletVersion!:s#7 machineID!:s#1 operatingSystem!:s#9 osImage!:s#5
  swap:NodeSwapStatus#11 systemUUID!:s#2
ObjectReference@ apiVersion:s#5 fieldPath:s#7 kind:s#1 name:s#3 namespace:s#2 resourceVersion:s#6 uid:s#4
Pod apiVersion:s kind:s metadata:ObjectMeta#1 spec:PodSpec#2 status:PodStatus#3
PodCondition lastProbeTime:t#3 lastTransitionTime:t#4 message:s#6 observedGeneration:i#7 reason:s#5 status!:s#2
  type!:s#1
PodExtendedResourceClaimStatus requestMappings!:[ContainerExtendedResourceRequest]#1 resourceClaimName!:s#2
PodIP ip!:s#1
PodResourceClaimStatus name!:s#1 resourceClaimName:s#2
PodStatus allocatedResources:{q}#19 conditions:[PodCondition]~type#2 containerStatuses:[ContainerStatus]#8
  ephemeralContainerStatuses:[ContainerStatus]#13 extendedResourceClaimStatus:PodExtendedResourceClaimStatus#18
  hostIP:s#5 hostIPs:[HostIP]~ip/#16 initContainerStatuses:[ContainerStatus]#10 message:s#3
  nodeAllocatableResourceClaimStatuses:[NodeAllocatableResourceClaimStatus]#21 nominatedNodeName:s#11
  observedGeneration:i#17 phase:s#1 podIP:s#6 podIPs:[PodIP]~ip#12 qosClass:s#9 reason:s#4 resize:s#14
  resourceClaimStatuses:[PodResourceClaimStatus]~name^#15 resources:ResourceRequirements#20 startTime:t#7
PodTemplateSpec metadata:ObjectMeta#1 spec:PodSpec#2
PortStatus error:s#3 port!:i#1 protocol!:s#2
ResourceHealth health:s#2 message:s#6 resourceID!:s#1
ResourceStatus name!:s#1 resources:[ResourceHealth](resourceID)#2
Secret apiVersion:s data:{y}#2 immutable:b#5 kind:s metadata:ObjectMeta#1 stringData:{s}#4 type:s#3
Service apiVersion:s kind:s metadata:ObjectMeta#1 spec:ServiceSpec#2 status:ServiceStatus#3
ServiceAccount apiVersion:s automountServiceAccountToken:b#4 imagePullSecrets:[LocalObjectReference]#3 kind:s
  metadata:ObjectMeta#1 secrets:[ObjectReference]~name#2
ServicePort appProtocol:s#6 name:s#1 nodePort:i#5 port!:i#3 protocol:s#2 targetPort:x#4
ServiceSpec allocateLoadBalancerNodePorts:b#20 clusterIP:s#3 clusterIPs:[s]#18 externalIPs:[s]#5
  externalName:s#10 externalTrafficPolicy:s#11 healthCheckNodePort:i#12 internalTrafficPolicy:s#22
  ipFamilies:[s]#19 ipFamilyPolicy:s#17 loadBalancerClass:s#21 loadBalancerIP:s#8 loadBalancerSourceRanges:[s]#9
  ports:[ServicePort]~port(port,protocol)#1 publishNotReadyAddresses:b#13 selector:{s}@#2 sessionAffinity:s#7
  sessionAffinityConfig:SessionAffinityConfig#14 trafficDistribution:s#23 type:s#4
ServiceStatus conditions:[Condition]~type#2 loadBalancer:LoadBalancerStatus#1
SessionAffinityConfig clientIP:ClientIPConfig#1
Taint effect!:s#3 key!:s#1 timeAdded:t#4 value:s#2
VolumeMountStatus mountPath!:s#2 name!:s#1 readOnly:b#3 recursiveReadOnly:s#4 volumeStatus:VolumeStatus#5
VolumeStatus image:ImageVolumeStatus#1
Condition lastTransitionTime!:t#4 message!:s#6 observedGeneration:i#3 reason!:s#5 status!:s#2 type!:s#1
FieldSelectorRequirement key!:s#1 operator!:s#2 values:[s]#3
`;
