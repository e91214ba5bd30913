//! Sets the stack up on the embedded AWS: what a deployment and the operator do once in the cloud.

use anyhow::{Context as _, anyhow, ensure};
use simulator_aws::Aws;

use crate::{config::Config, template::Template};

/// Makes queues and tables as `template` says.
pub(crate) fn create(aws: &Aws, template: &Template) -> anyhow::Result<()> {
    // Dead-letter queues first: the others name them.
    let (sources, targets): (Vec<_>, Vec<_>) =
        template.queues.iter().partition(|queue| queue.attributes.contains_key("RedrivePolicy"));
    for queue in targets.into_iter().chain(sources) {
        let url = aws.create_queue(&queue.name, queue.attributes.clone())?;
        // What functions are told comes from the template's references.
        ensure!(
            url.ends_with(&format!("/{}/{}", crate::intrinsics::ACCOUNT, queue.name)),
            "{url} is not what !Ref gives"
        );
    }
    for table in &template.tables {
        aws.create_table(table.create.clone()).with_context(|| table.name.clone())?;
    }
    Ok(())
}

/// Lets each function do what its role allows, as the cloud would: what is missing there is missing here.
pub(crate) fn restrict(aws: &Aws, template: &Template) -> anyhow::Result<()> {
    for function in &template.functions {
        aws.restrict(&function.name, &function.statements).with_context(|| format!("the role of {}", function.name))?;
        for mapping in &function.mappings {
            for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] {
                // The event source mapping works with the function's role.
                ensure!(
                    aws.allows(&function.name, action, &aws.queue_arn(&mapping.queue)),
                    "the role of {} lacks {action} for {}",
                    function.name,
                    mapping.queue
                );
            }
        }
    }
    Ok(())
}

/// Puts the secrets of `config` under the names the operator is told.
pub(crate) fn put_secrets(aws: &Aws, template: &Template, config: &Config) -> anyhow::Result<()> {
    for (name, value) in secrets(template, config)? {
        aws.put_secret(&name, &value);
    }
    Ok(())
}

/// The secrets of `config` by their names.
pub(crate) fn secrets(template: &Template, config: &Config) -> anyhow::Result<Vec<(String, String)>> {
    let mut secrets = vec![(output(template, "AppSecretName")?.to_owned(), config.app_secret().to_string())];
    for channel in &config.channels {
        secrets.push((channel_secret(template, &channel.phone_number_id)?, channel.secret().to_string()));
    }
    Ok(secrets)
}

/// The name of a channel's secret.
pub(crate) fn channel_secret(template: &Template, phone_number_id: &str) -> anyhow::Result<String> {
    Ok(format!("{}{phone_number_id}", output(template, "ChannelSecretPrefix")?))
}

fn output<'a>(template: &'a Template, name: &str) -> anyhow::Result<&'a str> {
    template.outputs.get(name).map(String::as_str).ok_or_else(|| anyhow!("the template has no output {name}"))
}
