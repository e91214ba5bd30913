//! Names the settings of the functions.
//! `infra/template.yaml` or Lambda itself gives them their values.

domain::documented! {
    /// A setting in the environment. The comments say what it is, and its unit.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Setting {
        /// The stack. It is a dimension of the metrics, so that two stacks of an account never mix.
        ///
        /// name
        StackName = "STACK_NAME",
        /// The DynamoDB table.
        ///
        /// name
        TableName = "TABLE_NAME",
        /// The table that the ledger of erasures is copied into; of another account by its ARN.
        ///
        /// name or ARN
        LedgerTableName = "LEDGER_TABLE_NAME",
        /// The app's secret; a channel's is in the table.
        ///
        /// name
        AppSecret = "APP_SECRET",
        /// The queue of what comes from Meta.
        ///
        /// URL
        InboundQueueUrl = "INBOUND_QUEUE_URL",
        /// Its dead letters.
        ///
        /// URL
        InboundDeadLettersUrl = "INBOUND_DEAD_LETTERS_URL",
        /// The queue of sync requests.
        ///
        /// URL
        OutboundQueueUrl = "OUTBOUND_QUEUE_URL",
        /// Its dead letters.
        ///
        /// URL
        OutboundDeadLettersUrl = "OUTBOUND_DEAD_LETTERS_URL",
        /// The queue of requests for erasure.
        ///
        /// URL
        ErasureQueueUrl = "ERASURE_QUEUE_URL",
        /// Its dead letters.
        ///
        /// URL
        ErasureDeadLettersUrl = "ERASURE_DEAD_LETTERS_URL",
        /// The queue of what a phone app tells of its past.
        ///
        /// URL
        HistoryQueueUrl = "HISTORY_QUEUE_URL",
        /// Its dead letters.
        ///
        /// URL
        HistoryDeadLettersUrl = "HISTORY_DEAD_LETTERS_URL",
        /// How many requests a minute an import makes to an account of Chatwoot; half as many while live messages wait.
        ///
        /// number
        HistoryPerMinute = "HISTORY_PER_MINUTE",
        /// Whether the files of imported messages come as well, as far as Meta has them.
        ///
        /// `true` or `false`
        HistoryFiles = "HISTORY_FILES",
        /// The shop's time, in which imported messages are dated: its distance from UTC.
        ///
        /// minutes
        UtcOffset = "UTC_OFFSET",
        /// Base of Chatwoot, without path.
        ///
        /// URL
        ChatwootUrl = "CHATWOOT_URL",
        /// Certificates of a private authority that vouches for Chatwoot alone; empty for a public one.
        ///
        /// PEM, also in one line with `\n`
        ChatwootCa = "CHATWOOT_CA",
        /// Base of Graph, without version.
        ///
        /// URL
        GraphUrl = "GRAPH_URL",
        /// Version of Graph.
        ///
        /// like `v25.0`
        GraphVersion = "GRAPH_VERSION",
        /// The agents' language, and the public page's unless a browser asks for the other.
        ///
        /// `es` or `en`
        Locale = "LOCALE",
        /// How long things about a customer are kept after the last activity.
        ///
        /// days
        RetentionDays = "RETENTION_DAYS",
        /// Time in which a request for erasure is done, as the public policy promises.
        ///
        /// days
        DeletionDays = "DELETION_DAYS",
        /// When the operator is warned of an open request.
        ///
        /// days, with commas
        WarnDays = "WARN_DAYS",
        /// Time in which a request by label or in the chat can be confirmed or withdrawn.
        ///
        /// hours
        ConfirmHours = "CONFIRM_HOURS",
        /// The configuration of Meta's dialog by which a number is connected; without one there is no signup.
        ///
        /// id
        SignupConfigId = "SIGNUP_CONFIG_ID",
        /// What the dialog is told beside it, for a number that is on a phone and for one that is not.
        ///
        /// JSON with `coexistence` and `cloud`
        SignupExtras = "SIGNUP_EXTRAS",
        /// Where Meta's script for the dialog is; `{locale}` becomes `es_LA` or `en_US`.
        ///
        /// URL
        FacebookSdkUrl = "FACEBOOK_SDK_URL",
        /// Meta's dialog as a page of its own.
        ///
        /// URL
        FacebookDialogUrl = "FACEBOOK_DIALOG_URL",
        /// Whose messages the page believes; empty for `facebook.com` and what is below it.
        ///
        /// origins, with commas
        FacebookOrigins = "FACEBOOK_ORIGINS",
        /// The key that new secrets are encrypted with; empty for AWS's own.
        ///
        /// ARN
        KmsKey = "KMS_KEY",
        /// The region.
        ///
        /// name
        AwsRegion = "AWS_REGION",
        /// The key of the function's role.
        ///
        /// text
        AwsAccessKeyId = "AWS_ACCESS_KEY_ID",
        /// Its secret.
        ///
        /// text
        AwsSecretAccessKey = "AWS_SECRET_ACCESS_KEY",
        /// The session of the two; may be absent.
        ///
        /// text
        AwsSessionToken = "AWS_SESSION_TOKEN",
        /// Another AWS for all clients; may be absent.
        ///
        /// URL
        AwsEndpointUrl = "AWS_ENDPOINT_URL",
        /// Certificates of that one's authority; may be absent.
        ///
        /// path of a PEM file
        AwsCaBundle = "AWS_CA_BUNDLE",
        /// Log level of our own crates; libraries stay at `WARN`. May be absent, for `INFO`.
        ///
        /// level
        LogLevel = "AWS_LAMBDA_LOG_LEVEL",
        /// The same where the function does not run on Lambda.
        ///
        /// level
        RustLog = "RUST_LOG",
        /// Log format; may be absent.
        ///
        /// `JSON` or `Text`
        LogFormat = "AWS_LAMBDA_LOG_FORMAT",
    }
}

impl Setting {
    /// Its name in the environment.
    pub const fn name(self) -> &'static str {
        Self::DOCUMENTED[self as usize].0
    }
}
