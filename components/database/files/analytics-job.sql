-- Prints how the analytics job :job ended: `done`, or `failed` and the reason; nothing while it runs. DHIS2 2.41 and later
-- record each job. All releases record the time of the last analytics tables, whose hash was :before when the job began; it
-- changes, too, when they are built again. Rows are read as JSON: not every release has every column.
SELECT left(regexp_replace(CASE
    WHEN built.hash <> :'before' OR job.status = 'COMPLETED' THEN 'done'
    WHEN job.status IN ('FAILED', 'STOPPED') THEN 'failed ' || coalesce(job.error, nullif(job.codes, ''), job.status)
    ELSE '' END, '\s+', ' ', 'g'), 400)
FROM (
    SELECT md5(coalesce(max(to_jsonb(setting) ->> 'value'), '')) AS hash FROM public.systemsetting setting
    WHERE name = 'keyLastSuccessfulAnalyticsTablesUpdate'
) built
LEFT JOIN (
    SELECT row ->> 'lastexecutedstatus' AS status, row ->> 'errorcodes' AS codes, (
        SELECT error #>> '{}' FROM jsonb_path_query(row -> 'progress', '$.**.error') WITH ORDINALITY errors (error, number)
        WHERE jsonb_typeof(error) = 'string' AND error #>> '{}' <> '' ORDER BY number DESC LIMIT 1
    ) AS error
    FROM (SELECT to_jsonb(configuration) AS row FROM public.jobconfiguration configuration WHERE uid = :'job') jobs
) job ON true;
