//! The parts that talk to nobody: `cargo bench -p rig --bench pure`.

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use domain::{HashKey, Timestamp};
use queue::QueueMessage;
use rig::scenario;
use whatsapp::{AppSecret, webhook};

const NOW: Timestamp = Timestamp::from_secs(1_795_190_400);

fn webhooks(criterion: &mut Criterion) {
    let secret = AppSecret::new("test-app-secret".into());
    let key = HashKey::new("test-subject-key".into());
    let mut group = criterion.benchmark_group("webhook");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3)).sample_size(20);
    for messages in [1, 100, 5_000] {
        let body =
            scenario::body(&(0..messages).map(|at| scenario::message(at, "¿Sigue disponible?")).collect::<Vec<_>>());
        let Ok(signature) = rig::events::signature("test-app-secret", body.as_bytes()) else { return };
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("verify", messages), &body, |bencher, body| {
            bencher.iter(|| secret.verify(black_box(&signature), body.as_bytes()).is_some());
        });
        group.bench_with_input(BenchmarkId::new("verify and parse", messages), &body, |bencher, body| {
            bencher.iter(|| {
                let verified = secret.verify(&signature, black_box(body).as_bytes())?;
                webhook::parse(verified, &key, NOW).ok()
            });
        });
        let parsed = secret.verify(&signature, body.as_bytes()).and_then(|body| webhook::parse(body, &key, NOW).ok());
        let Some(tasks) = parsed.map(|webhook| webhook.tasks) else { return };
        group.bench_with_input(BenchmarkId::new("write letters", messages), &tasks, |bencher, tasks| {
            bencher.iter(|| {
                let letters = tasks.iter().map(|task| QueueMessage::new(task.group.clone(), "id", &task.task).ok());
                letters.map(|letter| letter.map_or(0, |letter| letter.body.len())).sum::<usize>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, webhooks);
criterion_main!(benches);
