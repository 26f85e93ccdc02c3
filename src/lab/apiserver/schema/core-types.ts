/** The rest of core/v1, and the metadata that all objects share, in the notation of `notation.ts`. Facts of the Kubernetes 1.36 API. */
export const coreTypes = `
AttachedVolume devicePath!:s name!:s
Binding apiVersion:s kind:s metadata:ObjectMeta target!:ObjectReference
ClientIPConfig timeoutSeconds:i
ConfigMap apiVersion:s binaryData:{s} data:{s} immutable:b kind:s metadata:ObjectMeta
ConfigMapNodeConfigSource kubeletConfigKey!:s name!:s namespace!:s resourceVersion:s uid:s
ContainerExtendedResourceRequest containerName!:s requestName!:s resourceName!:s
ContainerImage names:[s] sizeBytes:i
ContainerState running:ContainerStateRunning terminated:ContainerStateTerminated waiting:ContainerStateWaiting
ContainerStateRunning startedAt:t
ContainerStateTerminated containerID:s exitCode!:i finishedAt:t message:s reason:s signal:i startedAt:t
ContainerStateWaiting message:s reason:s
ContainerStatus allocatedResources:{q} allocatedResourcesStatus:[ResourceStatus]~name containerID:s image!:s
  imageID!:s lastState:ContainerState name!:s ready!:b resources:ResourceRequirements restartCount!:i started:b
  state:ContainerState stopSignal:s user:ContainerUser volumeMounts:[VolumeMountStatus]~mountPath
ContainerUser linux:LinuxContainerUser
DaemonEndpoint Port!:i
EndpointAddress@ hostname:s ip!:s nodeName:s targetRef:ObjectReference
EndpointPort@ appProtocol:s name:s port!:i protocol:s
EndpointSubset addresses:[EndpointAddress] notReadyAddresses:[EndpointAddress] ports:[EndpointPort]
Endpoints apiVersion:s kind:s metadata:ObjectMeta subsets:[EndpointSubset]
Event action:s apiVersion:s count:i eventTime:t firstTimestamp:t involvedObject!:ObjectReference kind:s
  lastTimestamp:t message:s metadata!:ObjectMeta reason:s related:ObjectReference reportingComponent:s
  reportingInstance:s series:EventSeries source:EventSource type:s
EventSeries count:i lastObservedTime:t
EventSource component:s host:s
HostIP ip!:s
ImageVolumeStatus imageRef!:s
LinuxContainerUser gid!:i supplementalGroups:[i] uid!:i
LoadBalancerIngress hostname:s ip:s ipMode:s ports:[PortStatus]
LoadBalancerStatus ingress:[LoadBalancerIngress]
Namespace apiVersion:s kind:s metadata:ObjectMeta spec:NamespaceSpec status:NamespaceStatus
NamespaceCondition lastTransitionTime:t message:s reason:s status!:s type!:s
NamespaceSpec finalizers:[s]
NamespaceStatus conditions:[NamespaceCondition]~type phase:s
Node apiVersion:s kind:s metadata:ObjectMeta spec:NodeSpec status:NodeStatus
NodeAddress address!:s type!:s
NodeAllocatableResourceClaimStatus containers:[s]= resourceClaimName!:s resources!:{q}
NodeCondition lastHeartbeatTime:t lastTransitionTime:t message:s reason:s status!:s type!:s
NodeConfigSource configMap:ConfigMapNodeConfigSource
NodeConfigStatus active:NodeConfigSource assigned:NodeConfigSource error:s lastKnownGood:NodeConfigSource
NodeDaemonEndpoints kubeletEndpoint:DaemonEndpoint
NodeFeatures supplementalGroupsPolicy:b
NodeRuntimeHandler features:NodeRuntimeHandlerFeatures name:s
NodeRuntimeHandlerFeatures recursiveReadOnlyMounts:b userNamespaces:b
NodeSpec configSource:NodeConfigSource externalID:s podCIDR:s podCIDRs:[s]~= providerID:s taints:[Taint]
  unschedulable:b
NodeStatus addresses:[NodeAddress]~type allocatable:{q} capacity:{q} conditions:[NodeCondition]~type
  config:NodeConfigStatus daemonEndpoints:NodeDaemonEndpoints declaredFeatures:[s] features:NodeFeatures
  images:[ContainerImage] nodeInfo:NodeSystemInfo phase:s runtimeHandlers:[NodeRuntimeHandler]
  volumesAttached:[AttachedVolume] volumesInUse:[s]
NodeSwapStatus capacity:i
NodeSystemInfo architecture!:s bootID!:s containerRuntimeVersion!:s kernelVersion!:s kubeProxyVersion!:s
  kubeletVersion!:s machineID!:s operatingSystem!:s osImage!:s swap:NodeSwapStatus systemUUID!:s
ObjectReference@ apiVersion:s fieldPath:s kind:s name:s namespace:s resourceVersion:s uid:s
Pod apiVersion:s kind:s metadata:ObjectMeta spec:PodSpec status:PodStatus
PodCondition lastProbeTime:t lastTransitionTime:t message:s observedGeneration:i reason:s status!:s type!:s
PodExtendedResourceClaimStatus requestMappings!:[ContainerExtendedResourceRequest] resourceClaimName!:s
PodIP ip!:s
PodResourceClaimStatus name!:s resourceClaimName:s
PodStatus allocatedResources:{q} conditions:[PodCondition]~type containerStatuses:[ContainerStatus]
  ephemeralContainerStatuses:[ContainerStatus] extendedResourceClaimStatus:PodExtendedResourceClaimStatus
  hostIP:s hostIPs:[HostIP]~ip/ initContainerStatuses:[ContainerStatus] message:s
  nodeAllocatableResourceClaimStatuses:[NodeAllocatableResourceClaimStatus] nominatedNodeName:s
  observedGeneration:i phase:s podIP:s podIPs:[PodIP]~ip qosClass:s reason:s resize:s
  resourceClaimStatuses:[PodResourceClaimStatus]~name^ resources:ResourceRequirements startTime:t
PodTemplateSpec metadata:ObjectMeta spec:PodSpec
PortStatus error:s port!:i protocol!:s
ResourceHealth health:s message:s resourceID!:s
ResourceStatus name!:s resources:[ResourceHealth](resourceID)
Secret apiVersion:s data:{s} immutable:b kind:s metadata:ObjectMeta stringData:{s} type:s
Service apiVersion:s kind:s metadata:ObjectMeta spec:ServiceSpec status:ServiceStatus
ServiceAccount apiVersion:s automountServiceAccountToken:b imagePullSecrets:[LocalObjectReference] kind:s
  metadata:ObjectMeta secrets:[ObjectReference]~name
ServicePort appProtocol:s name:s nodePort:i port!:i protocol:s targetPort:x
ServiceSpec allocateLoadBalancerNodePorts:b clusterIP:s clusterIPs:[s] externalIPs:[s] externalName:s
  externalTrafficPolicy:s healthCheckNodePort:i internalTrafficPolicy:s ipFamilies:[s] ipFamilyPolicy:s
  loadBalancerClass:s loadBalancerIP:s loadBalancerSourceRanges:[s] ports:[ServicePort]~port(port,protocol)
  publishNotReadyAddresses:b selector:{s}@ sessionAffinity:s sessionAffinityConfig:SessionAffinityConfig
  trafficDistribution:s type:s
ServiceStatus conditions:[Condition]~type loadBalancer:LoadBalancerStatus
SessionAffinityConfig clientIP:ClientIPConfig
Taint effect!:s key!:s timeAdded:t value:s
VolumeMountStatus mountPath!:s name!:s readOnly:b recursiveReadOnly:s volumeStatus:VolumeStatus
VolumeStatus image:ImageVolumeStatus
Condition lastTransitionTime!:t message!:s observedGeneration:i reason!:s status!:s type!:s
FieldSelectorRequirement key!:s operator!:s values:[s]
`;
