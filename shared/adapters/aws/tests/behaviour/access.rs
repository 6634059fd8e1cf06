//! What a cluster's access is made of.

use guard_http::System;
use guard_http::cluster_access::ClusterAccess;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;

use crate::world::{CA, World, answer, cluster, row};

fn header(call: &guard_http::Call, name: &str) -> String {
    call.request.headers()[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_active_cluster_is_opened() {
    let world = World::new(|| Ok(answer(200, None, &cluster("ACTIVE"))));
    let access = world.aws.access(&row()).await.unwrap();
    assert_eq!(access.eks_status, "ACTIVE");
    assert_eq!(access.kubernetes_version, "1.33");
    assert_eq!(access.health_issues, ["Ec2SubnetNotFound"]);
    let server = access.api_server.unwrap();
    assert_eq!(server.endpoint, "https://abc.eks.example");
    assert_eq!(server.ca_pem.as_ref(), CA);
    assert!(server.token.expose_secret().starts_with("k8s-aws-v1."));
    assert!(!format!("{server:?} {:?}", world.aws).contains("hush"));

    let [sts] = &world.asked(System::Sts)[..] else { panic!("one AssumeRole") };
    assert_eq!(sts.request.uri().host(), Some("sts.eu-west-1.amazonaws.com"));
    let form = String::from_utf8(sts.request.body().to_vec()).unwrap();
    assert!(form.contains("RoleSessionName=guard-eks-1") && form.contains("DurationSeconds=3600"), "{form}");
    assert!(form.contains("role%2Fguard") && !form.contains("ExternalId"), "{form}");
    assert!(header(sts, "authorization").contains("AKIDBASE/20261123/eu-west-1/sts"));
    assert!(sts.idempotent);

    let [eks] = &world.asked(System::Eks)[..] else { panic!("one DescribeCluster") };
    assert_eq!(eks.request.uri().to_string(), "https://eks.eu-west-1.amazonaws.com/clusters/eks-1");
    assert!(header(eks, "authorization").contains("ASIAROLE/20261123/eu-west-1/eks"));
    assert_eq!(header(eks, "x-amz-date"), "20261123T080000Z", "the Clock port's time");
}

#[tokio::test]
async fn a_cluster_that_is_not_active_is_described_without_a_way_in() {
    for status in ["CREATING", "UPDATING", "FAILED", "SOMETHING_NEW"] {
        let world = World::new(move || Ok(answer(200, None, &cluster(status))));
        let access = world.aws.access(&row()).await.unwrap();
        assert_eq!(access.eks_status, status);
        assert!(access.api_server.is_none(), "{status}");
    }
}

#[tokio::test]
async fn roles_are_kept_until_shortly_before_they_end_and_tokens_are_not() {
    let world = World::new(|| Ok(answer(200, None, &cluster("ACTIVE"))));
    let token = async || {
        let server = world.aws.access(&row()).await.unwrap().api_server.unwrap();
        server.token.expose_secret().to_owned()
    };
    let first = token().await;
    world.clock.advance(SignedDuration::from_mins(14));
    assert_ne!(first, token().await, "a token is never older than the work it is for");
    world.clock.advance(SignedDuration::from_mins(40));
    token().await;
    assert_eq!(world.asked(System::Sts).len(), 1, "six minutes are left");
    world.clock.advance(SignedDuration::from_mins(1));
    token().await;
    assert_eq!(world.asked(System::Sts).len(), 2, "five minutes are not enough");
    assert_eq!(world.asked(System::Eks).len(), 4, "EKS is asked every time: its status is a fact of now");
}

#[tokio::test]
async fn each_cluster_has_its_own_session() {
    let world = World::new(|| Ok(answer(200, None, &cluster("ACTIVE"))));
    let mut other = row();
    other.cluster_id = guard_domain::ClusterId::parse("eks-2").unwrap();
    world.aws.access(&row()).await.unwrap();
    world.aws.access(&other).await.unwrap();
    assert_eq!(world.asked(System::Sts).len(), 2);
}

#[tokio::test]
async fn an_external_id_is_sent_when_there_is_one() {
    let mut world = World::new(|| Ok(answer(200, None, &cluster("ACTIVE"))));
    world.aws = world.aws.with_external_id("ext-1");
    world.aws.access(&row()).await.unwrap();
    let form = String::from_utf8(world.asked(System::Sts)[0].request.body().to_vec()).unwrap();
    assert!(form.contains("ExternalId=ext-1"), "{form}");
}
