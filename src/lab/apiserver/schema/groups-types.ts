/** The types of the other API groups, in the notation of `notation.ts`. Facts of the Kubernetes 1.36 API. */
export const groupTypes = `
DaemonSet apiVersion:s kind:s metadata:ObjectMeta#1 spec:DaemonSetSpec#2 status:DaemonSetStatus#3
DaemonSetCondition lastTransitionTime:t#3 message:s#5 reason:s#4 status!:s#2 type!:s#1
DaemonSetSpec minReadySeconds:i#4 revisionHistoryLimit:i#6 selector!:LabelSelector#1 template!:PodTemplateSpec#2
  updateStrategy:DaemonSetUpdateStrategy#3
DaemonSetStatus collisionCount:i#9 conditions:[DaemonSetCondition]~type#10 currentNumberScheduled!:i#1
  desiredNumberScheduled!:i#3 numberAvailable:i#7 numberMisscheduled!:i#2 numberReady!:i#4 numberUnavailable:i#8
  observedGeneration:i#5 updatedNumberScheduled:i#6
DaemonSetUpdateStrategy rollingUpdate:RollingUpdateDaemonSet#2 type:s#1
Deployment apiVersion:s kind:s metadata:ObjectMeta#1 spec:DeploymentSpec#2 status:DeploymentStatus#3
DeploymentCondition lastTransitionTime:t#7 lastUpdateTime:t#6 message:s#5 reason:s#4 status!:s#2 type!:s#1
DeploymentSpec minReadySeconds:i#5 paused:b#7 progressDeadlineSeconds:i#9 replicas:i#1 revisionHistoryLimit:i#6
  selector!:LabelSelector#2 strategy:DeploymentStrategy^#4 template!:PodTemplateSpec#3
DeploymentStatus availableReplicas:i#4 collisionCount:i#8 conditions:[DeploymentCondition]~type#6
  observedGeneration:i#1 readyReplicas:i#7 replicas:i#2 terminatingReplicas:i#9 unavailableReplicas:i#5
  updatedReplicas:i#3
DeploymentStrategy rollingUpdate:RollingUpdateDeployment#2 type:s#1
RollingUpdateDaemonSet maxSurge:x#2 maxUnavailable:x#1
RollingUpdateDeployment maxSurge:x#2 maxUnavailable:x#1
FieldSelectorAttributes rawSelector:s#1 requirements:[FieldSelectorRequirement]#2
LabelSelectorAttributes rawSelector:s#1 requirements:[LabelSelectorRequirement]#2
NonResourceAttributes path:s#1 verb:s#2
ResourceAttributes fieldSelector:FieldSelectorAttributes#8 group:s#3 labelSelector:LabelSelectorAttributes#9
  name:s#7 namespace:s#1 resource:s#5 subresource:s#6 verb:s#2 version:s#4
SelfSubjectAccessReview apiVersion:s kind:s metadata:ObjectMeta#1 spec!:SelfSubjectAccessReviewSpec#2
  status:SubjectAccessReviewStatus#3
SelfSubjectAccessReviewSpec nonResourceAttributes:NonResourceAttributes#2
  resourceAttributes:ResourceAttributes#1
SubjectAccessReview apiVersion:s kind:s metadata:ObjectMeta#1 spec!:SubjectAccessReviewSpec#2
  status:SubjectAccessReviewStatus#3
SubjectAccessReviewSpec extra:{[s]}#5 groups:[s]#4 nonResourceAttributes:NonResourceAttributes#2
  resourceAttributes:ResourceAttributes#1 uid:s#6 user:s#3
SubjectAccessReviewStatus allowed!:b#1 denied:b#4 evaluationError:s#3 reason:s#2
Lease apiVersion:s kind:s metadata:ObjectMeta#1 spec:LeaseSpec#2
LeaseSpec acquireTime:t#3 holderIdentity:s#1 leaseDurationSeconds:i#2 leaseTransitions:i#5 preferredHolder:s#7
  renewTime:t#4 strategy:s#6
Endpoint addresses!:[s]=#1 conditions:EndpointConditions#2 deprecatedTopology:{s}#5 hints:EndpointHints#8
  hostname:s#3 nodeName:s#6 targetRef:ObjectReference#4 zone:s#7
EndpointConditions ready:b#1 serving:b#2 terminating:b#3
EndpointHints forNodes:[ForNode]#2 forZones:[ForZone]#1
SliceEndpointPort@ appProtocol:s#4 name:s#1 port:i#3 protocol:s#2
EndpointSlice addressType!:s#4 apiVersion:s endpoints:[Endpoint]#2 kind:s metadata:ObjectMeta#1
  ports:[SliceEndpointPort]#3
ForNode name!:s#1
ForZone name!:s#1
EventsEvent action:s#6 apiVersion:s deprecatedCount:i#15 deprecatedFirstTimestamp:t#13
  deprecatedLastTimestamp:t#14 deprecatedSource:EventSource#12 eventTime!:t#2 kind:s metadata:ObjectMeta#1
  note:s#10 reason:s#7 regarding:ObjectReference#8 related:ObjectReference#9 reportingController:s#4
  reportingInstance:s#5 series:EventsEventSeries#3 type:s#11
EventsEventSeries count!:i#1 lastObservedTime!:t#2
IPBlock cidr!:s#1 except:[s]#2
NetworkPolicy apiVersion:s kind:s metadata:ObjectMeta#1 spec:NetworkPolicySpec#2
NetworkPolicyEgressRule ports:[NetworkPolicyPort]#1 to:[NetworkPolicyPeer]#2
NetworkPolicyIngressRule from:[NetworkPolicyPeer]#2 ports:[NetworkPolicyPort]#1
NetworkPolicyPeer ipBlock:IPBlock#3 namespaceSelector:LabelSelector#2 podSelector:LabelSelector#1
NetworkPolicyPort endPort:i#3 port:x#2 protocol:s#1
NetworkPolicySpec egress:[NetworkPolicyEgressRule]#3 ingress:[NetworkPolicyIngressRule]#2
  podSelector:LabelSelector#1 policyTypes:[s]#4
AggregationRule clusterRoleSelectors:[LabelSelector]#1
ClusterRole aggregationRule:AggregationRule#3 apiVersion:s kind:s metadata:ObjectMeta#1 rules:[PolicyRule]#2
ClusterRoleBinding apiVersion:s kind:s metadata:ObjectMeta#1 roleRef!:RoleRef#3 subjects:[Subject]#2
PolicyRule apiGroups:[s]#2 nonResourceURLs:[s]#5 resourceNames:[s]#4 resources:[s]#3 verbs!:[s]#1
Role apiVersion:s kind:s metadata:ObjectMeta#1 rules:[PolicyRule]#2
RoleBinding apiVersion:s kind:s metadata:ObjectMeta#1 roleRef!:RoleRef#3 subjects:[Subject]#2
RoleRef@ apiGroup:s#1 kind!:s#2 name!:s#3
Subject@ apiGroup:s#2 kind!:s#1 name!:s#3 namespace:s#4
CustomResourceColumnDefinition description:s#4 format:s#3 jsonPath!:s#6 name!:s#1 priority:i#5 type!:s#2
CustomResourceConversion strategy!:s#1 webhook:WebhookConversion#2
CustomResourceDefinition apiVersion:s kind:s metadata:ObjectMeta#1 spec!:CustomResourceDefinitionSpec#2
  status:CustomResourceDefinitionStatus#3
CustomResourceDefinitionCondition lastTransitionTime:t#3 message:s#5 observedGeneration:i#6 reason:s#4
  status!:s#2 type!:s#1
CustomResourceDefinitionNames categories:[s]#6 kind!:s#4 listKind:s#5 plural!:s#1 shortNames:[s]#3 singular:s#2
CustomResourceDefinitionSpec conversion:CustomResourceConversion#9 group!:s#1
  names!:CustomResourceDefinitionNames#3 preserveUnknownFields:b#10 scope!:s#4
  versions!:[CustomResourceDefinitionVersion]#7
CustomResourceDefinitionStatus acceptedNames:CustomResourceDefinitionNames#2
  conditions:[CustomResourceDefinitionCondition](type)#1 observedGeneration:i#4 storedVersions:[s]#3
CustomResourceDefinitionVersion additionalPrinterColumns:[CustomResourceColumnDefinition]#6 deprecated:b#7
  deprecationWarning:s#8 name!:s#1 schema:CustomResourceValidation#4 selectableFields:[SelectableField]#9
  served!:b#2 storage!:b#3 subresources:CustomResourceSubresources#5
CustomResourceSubresourceScale labelSelectorPath:s#3 specReplicasPath!:s#1 statusReplicasPath!:s#2
CustomResourceSubresources scale:CustomResourceSubresourceScale#2 status:*#1
CustomResourceValidation openAPIV3Schema:JSONSchemaProps#1
ExternalDocumentation description:s#1 url:s#2
JSONSchemaProps $ref:s#3 $schema:s#2 additionalItems:*#33 additionalProperties:*#30 allOf:[JSONSchemaProps]#25
  anyOf:[JSONSchemaProps]#27 default:*#8 definitions:{JSONSchemaProps}#34 dependencies:{*}#32 description:s#4
  enum:[*]#20 example:*#36 exclusiveMaximum:b#10 exclusiveMinimum:b#12 externalDocs:ExternalDocumentation#35
  format:s#6 id:s#1 items:*#24 maxItems:i#16 maxLength:i#13 maxProperties:i#21 maximum:n#9 minItems:i#17
  minLength:i#14 minProperties:i#22 minimum:n#11 multipleOf:n#19 not:JSONSchemaProps#28 nullable:b#37
  oneOf:[JSONSchemaProps]#26 pattern:s#15 patternProperties:{JSONSchemaProps}#31 properties:{JSONSchemaProps}#29
  required:[s]#23 title:s#7 type:s#5 uniqueItems:b#18 x-kubernetes-embedded-resource:b#39
  x-kubernetes-int-or-string:b#40 x-kubernetes-list-map-keys:[s]#41 x-kubernetes-list-type:s#42
  x-kubernetes-map-type:s#43 x-kubernetes-preserve-unknown-fields:b#38
  x-kubernetes-validations:[ValidationRule]~rule#44
SelectableField jsonPath!:s#1
ServiceReference name!:s#2 namespace!:s#1 path:s#3 port:i#4
ValidationRule fieldPath:s#5 message:s#2 messageExpression:s#3 optionalOldSelf:b#6 reason:s#4 rule!:s#1
WebhookClientConfig caBundle:y#2 service:ServiceReference#1 url:s#3
WebhookConversion clientConfig:WebhookClientConfig#2 conversionReviewVersions!:[s]#3
`;
